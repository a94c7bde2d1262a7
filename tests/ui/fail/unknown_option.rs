#![allow(unused_variables)]

use hybridcache::cached;

#[cached(tll = "5m")]
fn slip(id: u64) -> u64 { id }

#[cached(time_to_live = "5m")]
fn elsewhere(id: u64) -> u64 { id }

fn main() {}
