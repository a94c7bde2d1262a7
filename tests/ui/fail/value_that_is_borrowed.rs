#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn first(words: &str) -> &str { words }

#[cached]
fn parts(words: &str) -> Vec<&str> { words.split(' ').collect() }

fn main() {}
