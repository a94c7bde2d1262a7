#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Clone, Hash)]
pub struct Id(u64);

#[cached(ttl = "60s")]
fn user(id: &Id) -> u64 { id.0 }

fn main() {}
