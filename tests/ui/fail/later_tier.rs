#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "60s", tier = redis)]
fn redis(id: u64) -> u64 { id }

#[cached(ttl = "60s", sliding, tier = hybrid, codec = bincode)]
fn hybrid(id: u64) -> u64 { id }

#[cached(tier = MyDriver::new())]
fn driver(id: u64) -> u64 { id }

#[cached(codec = msgpack, compress(lz4, min = 1024), consistency = strict)]
fn wire(id: u64) -> u64 { id }

#[cached(single_flight = fleet)]
fn fleet(id: u64) -> u64 { id }

fn main() {}
