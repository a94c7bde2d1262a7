#![allow(unused_variables)]

use hybridcache::cached;

const MINUTE: u64 = 60;

#[cached(ttl = MINUTE)]
fn constant(id: u64) -> u64 { id }

#[cached(ttl = true)]
fn literal(id: u64) -> u64 { id }

fn main() {}
