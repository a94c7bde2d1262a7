#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn numbers(upto: u64) -> impl Iterator<Item = u64> { 0..upto }

fn main() {}
