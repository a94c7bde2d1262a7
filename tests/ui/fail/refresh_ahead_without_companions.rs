#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "5m", refresh_ahead = 0.8, handle = false)]
async fn user(id: u64) -> u64 { id }

fn main() {}
