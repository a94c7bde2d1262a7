#![allow(unused_variables)]

use hybridcache::cached;

#[cached(tier = hybrid)]
async fn user(id: u64) -> String { id.to_string() }

#[cached(tier = redis, codec = json, max_age = "1h")]
fn list(page: u32) -> Vec<u64> { vec![page.into()] }

fn main() {}
