#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "")]
fn user(id: u64) -> u64 { id }

#[cached(ttl = " ")]
fn order(id: u64) -> u64 { id }

fn main() {}
