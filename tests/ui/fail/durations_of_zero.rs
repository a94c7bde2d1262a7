#![allow(unused_variables)]

use hybridcache::cached;

#[cached(sliding = "0s", max_age = "0s", wait_timeout = "0s")]
fn user(id: u64) -> u64 { id }

#[cached(none_ttl = "0ms", err_ttl = "0s")]
fn order(id: u64) -> Result<Option<u64>, String> { Ok(Some(id)) }

fn main() {}
