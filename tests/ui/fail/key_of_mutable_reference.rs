#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn user(connection: &mut String, id: u64) -> String { format!("{connection}{id}") }

fn main() {}
