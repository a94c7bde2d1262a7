#![allow(unused_variables)]

use hybridcache::{cache_evict, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_evict]
async fn nothing(id: u64) {}

#[cache_evict(user)]
async fn bare(id: u64) {}

#[cache_evict("user")]
async fn text(id: u64) {}

fn main() {}
