#![allow(unused_variables)]

use hybridcache::cached;

#[cached(skip(pol))]
fn slip(pool: &str, id: u64) -> String { format!("{pool}{id}") }

#[cached(key(user))]
fn elsewhere(id: u64) -> u64 { id }

#[cached(skip(id))]
fn none() -> u64 { 7 }

fn main() {}
