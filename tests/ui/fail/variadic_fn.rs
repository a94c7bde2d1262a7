#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
unsafe extern "C" fn user(id: u64, rest: ...) -> u64 { id }

fn main() {}
