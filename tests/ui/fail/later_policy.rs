#![allow(unused_variables)]

use hybridcache::cached;

#[cached(policy = lru)]
fn user(id: u64) -> u64 { id }

fn main() {}
