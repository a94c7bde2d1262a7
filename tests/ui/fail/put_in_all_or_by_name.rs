#![allow(unused_variables)]

use hybridcache::{cache_put, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_put(user(..) = result.clone())]
async fn all(id: u64) -> String { id.to_string() }

#[cache_put(named("users", id) = result.clone())]
async fn named(id: u64) -> String { id.to_string() }

fn main() {}
