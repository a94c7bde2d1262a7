#![allow(unused_variables)]

use hybridcache::cached;

#[cached(capacity = 10, max_weight = "64MiB", weigh = |_, value| value.len() as u64)]
fn user(id: u64) -> String { id.to_string() }

fn main() {}
