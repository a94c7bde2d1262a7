#![allow(unused_variables)]

use hybridcache::cached;

#[cached(capacity = "64MiB")]
fn size(id: u64) -> u64 { id }

#[cached(capacity = -1)]
fn negative(id: u64) -> u64 { id }

#[cached(capacity = 1.5)]
fn fraction(id: u64) -> u64 { id }

fn main() {}
