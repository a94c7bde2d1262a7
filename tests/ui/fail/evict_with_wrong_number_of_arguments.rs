#![allow(unused_variables)]

use hybridcache::{cache_evict, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_evict(user(id))]
async fn rename(id: u64) {}

#[cache_evict(user(id, "en", "de"))]
async fn translate(id: u64) {}

fn main() {}
