#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn user(id: u64, #[cfg(unix)] group: u64) -> u64 { id }

fn main() {}
