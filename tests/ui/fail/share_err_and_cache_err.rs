#![allow(unused_variables)]

use hybridcache::cached;

#[cached(cache_err, share_err = |error| error.clone())]
fn user(id: u64) -> Result<u64, String> { Ok(id) }

fn main() {}
