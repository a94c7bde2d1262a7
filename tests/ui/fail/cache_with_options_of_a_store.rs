#![allow(unused_variables)]

use std::sync::LazyLock;

use hybridcache::{Cache, cached};

static USERS: LazyLock<Cache<u64, u64>> = LazyLock::new(|| Cache::builder("users").build().unwrap());

#[cached(cache = USERS, ttl = "5m", capacity = 10)]
fn user(id: u64) -> u64 { id }

fn main() {}
