#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "60s", tier = hybird)]
async fn user(id: u64) -> String { id.to_string() }

#[cached(ttl = "60s", tier = "redis")]
fn list(page: u32) -> Vec<u64> { vec![page.into()] }

fn main() {}
