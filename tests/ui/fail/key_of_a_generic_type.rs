#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn user<T: std::fmt::Debug>(id: T) -> String { format!("{id:?}") }

fn main() {}
