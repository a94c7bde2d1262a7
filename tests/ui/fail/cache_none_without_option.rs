#![allow(unused_variables)]

use hybridcache::cached;

#[cached(cache_none)]
fn flag(id: u64) -> Result<u64, String> { Ok(id) }

#[cached(none_ttl = "10s")]
fn ttl(id: u64) -> u64 { id }

fn main() {}
