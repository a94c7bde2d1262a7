#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "5m", capacity = 10, ttl = "6m")]
fn user(id: u64) -> u64 { id }

#[cached(skip(a), skip(b))]
fn order(a: u64, b: u64) -> u64 { a + b }

fn main() {}
