#![allow(unused_variables)]

use hybridcache::cached;

#[cached(max_weight = "64MiB", weigh = |value| value.len() as u64)]
fn arguments(id: u64) -> String { id.to_string() }

#[cached(max_weight = "64MiB", weigh = |_, value| value.len())]
fn number(id: u64) -> String { id.to_string() }

fn main() {}
