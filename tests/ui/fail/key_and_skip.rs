#![allow(unused_variables)]

use hybridcache::cached;

#[cached(key(id), skip(lang))]
fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

fn main() {}
