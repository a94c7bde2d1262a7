#![allow(unused_variables)]

use hybridcache::{cache_put, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_put(user(id, "en") = id)]
async fn number(id: u64) -> String { id.to_string() }

#[cache_put(user(id, "en") = result)]
async fn reference(id: u64) -> String { id.to_string() }

fn main() {}
