#![allow(unused_variables)]

use hybridcache::{cache_evict, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_evict(user(result.0, "en"), before)]
async fn before() -> (u64, u64) { (1, 2) }

#[cache_evict(user(result.0, "en"), on = always)]
async fn always() -> (u64, u64) { (1, 2) }

fn main() {}
