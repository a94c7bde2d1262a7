#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl)]
fn bare(id: u64) -> u64 { id }

#[cached(ttl =, capacity = )]
fn cut_off(id: u64) -> u64 { id }

#[cached(skip = id)]
fn list(id: u64) -> u64 { id }

#[cached(key = id)]
fn key(id: u64) -> u64 { id }

fn main() {}
