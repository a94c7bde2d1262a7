#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = 60)]
fn number(id: u64) -> u64 { id }

#[cached(ttl = "60")]
fn text(id: u64) -> u64 { id }

#[cached(ttl = 0.5)]
fn fraction(id: u64) -> u64 { id }

fn main() {}
