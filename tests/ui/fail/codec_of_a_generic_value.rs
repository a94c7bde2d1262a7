#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "60s", tier = hybrid)]
fn parsed<T: std::str::FromStr + Clone + Send + Sync + 'static>(text: &str) -> Option<T> { text.parse().ok() }

fn main() {}
