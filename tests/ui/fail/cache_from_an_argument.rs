#![allow(unused_variables)]

use hybridcache::{Cache, cached};

#[cached(cache = users, skip(users))]
fn user(users: &Cache<u64, String>, id: u64) -> String { id.to_string() }

fn main() {}
