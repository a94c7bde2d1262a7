#![allow(unused_variables)]

use hybridcache::cached;

#[cached(returns = result)]
fn result(id: u64) -> u64 { id }

#[cached(returns = option)]
fn option(id: u64) -> u64 { id }

fn main() {}
