#![allow(unused_variables)]

use hybridcache::cached;

#[cached(value = u32)]
fn user(id: u64) -> Result<u64, String> { Ok(id) }

fn main() {}
