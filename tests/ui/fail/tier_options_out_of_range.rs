#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "60s", tier = hybrid, lease = "10ms", degraded_ttl = "0s", max_value_bytes = 0)]
fn small(id: u64) -> u64 { id }

#[cached(ttl = "500us", sliding = "10ns", settle = "1us", name = "*", tier = hybrid)]
fn short(id: u64) -> u64 { id }

#[cached(ttl = "60s", tier = hybrid, max_disconnected = "30s")]
fn bounded(id: u64) -> u64 { id }

#[cached(ttl = "60s", tier = hybrid, consistency = strickt, on_outage = defer)]
fn words(id: u64) -> u64 { id }

fn main() {}
