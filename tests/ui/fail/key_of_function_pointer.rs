#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn user(load: fn(u64) -> u64, id: u64) -> u64 { load(id) }

#[cached]
fn order(at: *const u64, id: u64) -> u64 { id }

fn main() {}
