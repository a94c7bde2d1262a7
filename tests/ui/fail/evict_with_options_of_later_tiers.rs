#![allow(unused_variables)]

use hybridcache::{cache_evict, cached};

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

#[cache_evict(user(id, "en"), tag = "tenant:{tenant}", on_outage = fail)]
async fn rename(id: u64, tenant: &str) {}

fn main() {}
