#![allow(unused_variables)]

use hybridcache::{cache_evict, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_evict(user(result, "en"))]
async fn rename(result: u64) {}

fn main() {}
