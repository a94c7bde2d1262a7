#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn user(id: &str) -> u64 { id.parse::<u64>()? }

#[cached(handle = false)]
async fn order(id: &str) -> u64 { id.parse::<u64>()? }

fn main() {}
