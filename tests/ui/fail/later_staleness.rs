#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "60s", stale_while_revalidate = "30s", stale_if_error = "1h")]
fn stale(id: u64) -> u64 { id }

#[cached(ttl = "60s", soft_timeout = "50ms", hard_timeout = "2s")]
async fn timeout(id: u64) -> u64 { id }

fn main() {}
