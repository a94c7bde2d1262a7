#![allow(unused_variables)]

use hybridcache::cached;

#[cached(cache_none = "yes")]
fn user(id: u64) -> Option<u64> { Some(id) }

fn main() {}
