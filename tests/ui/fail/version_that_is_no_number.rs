#![allow(unused_variables)]

use hybridcache::cached;

#[cached(version = "2")]
fn text(id: u64) -> u64 { id }

#[cached(version = 99999999999)]
fn large(id: u64) -> u64 { id }

fn main() {}
