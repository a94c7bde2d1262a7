#![allow(unused_variables)]

use hybridcache::{cache_put, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_put(user(id, "en") = name.clone())]
async fn rename(id: u64, name: String) { drop(name); }

fn main() {}
