#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Hash, PartialEq, Eq)]
pub struct Id(u64);

#[cached(ttl = "60s")]
fn by_value(id: Id) -> u64 { id.0 }

#[cached(ttl = "60s")]
fn by_reference(id: &Id) -> u64 { id.0 }

fn main() {}
