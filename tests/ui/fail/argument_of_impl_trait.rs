#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn user(id: impl Into<u64>) -> u64 { id.into() }

fn main() {}
