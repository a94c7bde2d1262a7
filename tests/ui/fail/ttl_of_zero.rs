#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "0s")]
fn user(id: u64) -> u64 { id }

fn main() {}
