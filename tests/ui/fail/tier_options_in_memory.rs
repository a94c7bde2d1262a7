#![allow(unused_variables)]

use hybridcache::cached;

#[cached(codec = msgpack, compress(lz4, min = 1024), consistency = strict)]
fn wire(id: u64) -> u64 { id }

#[cached(tier = memory, lease = "5s", settle = "1s", degraded_ttl = "1s", on_outage = fail, max_value_bytes = "1MiB")]
fn memory(id: u64) -> u64 { id }

#[cached(single_flight = fleet)]
fn fleet(id: u64) -> u64 { id }

fn main() {}
