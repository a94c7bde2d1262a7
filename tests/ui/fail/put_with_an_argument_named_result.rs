#![allow(unused_variables)]

use hybridcache::{cache_put, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_put(user(id, "en") = result.clone())]
async fn rename(id: u64, result: String) -> String { result }

fn main() {}
