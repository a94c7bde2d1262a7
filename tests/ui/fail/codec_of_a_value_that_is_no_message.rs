#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "60s", tier = hybrid, codec = protobuf)]
fn ids(page: u32) -> Vec<u64> { vec![page.into()] }

fn main() {}
