#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "5m", jitter = "100%")]
fn all(id: u64) -> u64 { id }

#[cached(ttl = "5m", jitter = -0.1)]
fn negative(id: u64) -> u64 { id }

#[cached(ttl = "5m", jitter = "a bit")]
fn words(id: u64) -> u64 { id }

fn main() {}
