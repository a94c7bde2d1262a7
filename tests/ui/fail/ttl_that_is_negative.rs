#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "-5s")]
fn text(id: u64) -> u64 { id }

#[cached(ttl = -5)]
fn number(id: u64) -> u64 { id }

fn main() {}
