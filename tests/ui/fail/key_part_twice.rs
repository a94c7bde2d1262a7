#![allow(unused_variables)]

use hybridcache::cached;

#[cached(key(id, id: u32 = *id as u32))]
fn user(id: u64) -> u64 { id }

fn main() {}
