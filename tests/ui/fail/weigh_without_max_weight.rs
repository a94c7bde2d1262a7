#![allow(unused_variables)]

use hybridcache::cached;

#[cached(weigh = |_, value| value.len() as u64)]
fn user(id: u64) -> String { id.to_string() }

fn main() {}
