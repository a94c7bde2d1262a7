#![allow(unused_variables)]

use hybridcache::cached;

#[cached(tier = MyDriver::new())]
fn driver(id: u64) -> u64 { id }

fn main() {}
