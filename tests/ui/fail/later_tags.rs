#![allow(unused_variables)]

use hybridcache::cached;

#[cached(tags("user", "tenant:{tenant}"))]
fn user(id: u64, tenant: &str) -> String { format!("{id}{tenant}") }

fn main() {}
