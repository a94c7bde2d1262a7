#![allow(unused_variables)]

use hybridcache::cached;

#[cached(key(id = id + 1))]
fn user(id: u64) -> u64 { id }

#[cached(key(half: u64))]
fn order(id: u64) -> u64 { id }

fn main() {}
