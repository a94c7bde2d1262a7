#![allow(unused_variables)]

use hybridcache::cache_evict;

async fn user(id: u64) -> u64 { id }

#[cache_evict(user(id))]
async fn rename(id: u64) {}

#[cache_evict(user(..))]
async fn clear() {}

fn main() {}
