#![allow(unused_variables)]

use hybridcache::{cache_evict, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_evict(usr(id, "en"))]
async fn rename(id: u64) {}

#[cache_evict(db::user(..))]
async fn clear() {}

fn main() {}
