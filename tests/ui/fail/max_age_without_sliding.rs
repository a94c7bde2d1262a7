#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "5m", max_age = "1h")]
fn user(id: u64) -> u64 { id }

fn main() {}
