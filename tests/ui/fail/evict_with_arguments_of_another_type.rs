#![allow(unused_variables)]

use hybridcache::{cache_evict, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_evict(user(name, "en"))]
async fn rename(name: String) {}

#[cache_evict(user(result.0, "en"))]
async fn create() -> Option<(u32, u64)> { None }

fn main() {}
