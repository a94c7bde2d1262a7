#![allow(unused_variables)]

use hybridcache::cached;

#[cached(sliding)]
fn user(id: u64) -> u64 { id }

#[cached(ttl = "forever", sliding)]
fn order(id: u64) -> u64 { id }

fn main() {}
