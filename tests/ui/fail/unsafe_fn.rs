#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
unsafe fn user(id: u64) -> u64 { id }

fn main() {}
