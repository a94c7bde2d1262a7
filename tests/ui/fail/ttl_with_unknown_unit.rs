#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "5 fortnights")]
fn user(id: u64) -> u64 { id }

fn main() {}
