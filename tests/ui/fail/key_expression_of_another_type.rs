#![allow(unused_variables)]

use hybridcache::cached;

#[cached(key(lang: String = lang.to_lowercase(), id: u32 = *id))]
fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

fn main() {}
