#![allow(unused_variables)]

use std::sync::LazyLock;

use hybridcache::{Cache, cached};

static USERS: LazyLock<Cache<u32, String>> = LazyLock::new(|| Cache::builder("users").build().unwrap());

#[cached(cache = USERS)]
fn user(id: u64) -> String { id.to_string() }

fn main() {}
