#![allow(unused_variables)]

use hybridcache::cached;

#[cached(cache_err)]
fn flag(id: u64) -> Option<u64> { Some(id) }

#[cached(err_ttl = "10s")]
fn ttl(id: u64) -> u64 { id }

#[cached(share_err = |error| error)]
fn share(id: u64) -> u64 { id }

fn main() {}
