#![allow(unused_variables)]

use hybridcache::cached;

#[cached(max_weight = "64MiB")]
fn user(id: u64) -> String { id.to_string() }

fn main() {}
