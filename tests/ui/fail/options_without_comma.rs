#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "5m" capacity = 10)]
fn user(id: u64) -> u64 { id }

#[cached("5m")]
fn order(id: u64) -> u64 { id }

fn main() {}
