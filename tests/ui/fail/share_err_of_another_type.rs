#![allow(unused_variables)]

use hybridcache::cached;

#[cached(share_err = |error| error.to_string())]
fn user(id: u64) -> Result<u64, std::fmt::Error> { Ok(id) }

fn main() {}
