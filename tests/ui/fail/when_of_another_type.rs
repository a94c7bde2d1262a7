#![allow(unused_variables)]

use hybridcache::cached;

#[cached(when = id)]
fn number(id: u64) -> u64 { id }

#[cached(when = user_id > 0)]
fn unknown(id: u64) -> u64 { id }

#[cached(when = |id| id > 0)]
fn closure(id: u64) -> u64 { id }

fn main() {}
