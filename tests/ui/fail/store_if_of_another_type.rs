#![allow(unused_variables)]

use hybridcache::cached;

#[cached(store_if = |value| value.len())]
fn number(id: u64) -> String { id.to_string() }

#[cached(store_if = true)]
fn constant(id: u64) -> String { id.to_string() }

#[cached(store_if = id > 7)]
fn argument(id: u64) -> String { id.to_string() }

fn main() {}
