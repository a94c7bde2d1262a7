#![allow(unused_variables)]

use hybridcache::cached;

#[cached(single_flight = none)]
fn single_flight(id: u64) -> u64 { id }

#[cached(policy = s4fifo)]
fn policy(id: u64) -> u64 { id }

#[cached(returns = reslut)]
fn returns(id: u64) -> u64 { id }

#[cached(policy = "lru", skip("id"))]
fn quoted(id: u64) -> u64 { id }

fn main() {}
