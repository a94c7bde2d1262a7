#![allow(unused_variables)]

use hybridcache::cached;

#[cached(key(half: u64 = id / 2, even: bool = id == 2))]
fn user(id: u64) -> u64 { id }

fn main() {}
