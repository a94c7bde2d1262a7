#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "600000000000000y")]
fn user(id: u64) -> u64 { id }

#[cached(ttl = "99999999999999999999s")]
fn order(id: u64) -> u64 { id }

fn main() {}
