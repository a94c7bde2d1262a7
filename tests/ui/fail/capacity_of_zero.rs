#![allow(unused_variables)]

use hybridcache::cached;

#[cached(capacity = 0)]
fn user(id: u64) -> u64 { id }

#[cached(max_weight = 0, weigh = |_, _| 1)]
fn order(id: u64) -> u64 { id }

fn main() {}
