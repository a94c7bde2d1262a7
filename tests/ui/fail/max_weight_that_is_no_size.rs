#![allow(unused_variables)]

use hybridcache::cached;

#[cached(max_weight = "64 apples", weigh = |_, value| *value)]
fn user(id: u64) -> u64 { id }

fn main() {}
