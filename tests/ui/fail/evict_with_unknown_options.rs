#![allow(unused_variables)]

use hybridcache::{cache_evict, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_evict(user(..), befor)]
async fn slip(id: u64) {}

#[cache_evict(user(..), ttl = "1s")]
async fn elsewhere(id: u64) {}

#[cache_evict(user(..), on = failure)]
async fn word(id: u64) {}

#[cache_evict(user(..), before, on = always)]
async fn both(id: u64) {}

fn main() {}
