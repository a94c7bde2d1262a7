#![allow(unused_variables)]

use std::collections::BTreeMap;

use hybridcache::cached;

#[cached]
fn words(words: Vec<&str>) -> usize { words.len() }

#[cached]
fn slice(words: &[&str]) -> usize { words.len() }

#[cached]
fn map(map: &BTreeMap<&str, u64>) -> usize { map.len() }

fn main() {}
