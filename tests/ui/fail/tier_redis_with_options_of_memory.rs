#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "60s", tier = redis, consistency = eventual, max_disconnected = "30s")]
fn answers(id: u64) -> u64 { id }

#[cached(ttl = "60s", tier = redis, capacity = 10_000, policy = lru, refresh_ahead = 0.8, degraded_ttl = "1s")]
fn entries(id: u64) -> u64 { id }

#[cached(ttl = "60s", tier = redis, max_weight = "1MiB", max_entry_weight = "1KiB", weigh = |_, _| 1)]
fn weights(id: u64) -> u64 { id }

fn main() {}
