#![allow(unused_variables)]

use hybridcache::cached;

#[cached(policy = adaptive)]
fn user(id: u64) -> u64 { id }

fn main() {}
