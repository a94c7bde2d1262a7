#![allow(unused_variables)]

use hybridcache::cached;

#[cached(handle = true)]
fn user(id: u64) -> u64 { id }

#[cached(handle = "users")]
fn quoted(id: u64) -> u64 { id }

fn main() {}
