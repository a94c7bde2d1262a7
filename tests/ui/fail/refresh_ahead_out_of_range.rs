#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "5m", refresh_ahead = 1.5)]
fn late(id: u64) -> u64 { id }

#[cached(refresh_ahead = 0.8)]
fn of_nothing(id: u64) -> u64 { id }

#[cached(ttl = "5m", refresh_ahead = "30s")]
fn duration(id: u64) -> u64 { id }

fn main() {}
