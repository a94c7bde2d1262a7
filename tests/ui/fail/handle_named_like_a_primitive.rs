#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn str(id: u64) -> u64 { id }

#[cached]
fn std(id: u64) -> u64 { id }

#[cached(handle = u8)]
fn user(id: u64) -> u64 { id }

fn main() {}
