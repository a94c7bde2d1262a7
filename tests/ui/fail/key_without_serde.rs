#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(u64);

#[cached(ttl = "60s", tier = hybrid)]
async fn user(id: Id, lang: &str) -> String { format!("{}{lang}", id.0) }

fn main() {}
