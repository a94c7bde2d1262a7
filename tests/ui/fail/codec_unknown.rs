#![allow(unused_variables)]

use hybridcache::cached;

#[cached(ttl = "60s", tier = hybrid, codec = msgpak)]
fn slip(id: u64) -> u64 { id }

#[cached(ttl = "60s", tier = hybrid, codec = serde_json)]
fn elsewhere(id: u64) -> u64 { id }

#[cached(ttl = "60s", tier = hybrid, codec = cbor)]
fn other(id: u64) -> u64 { id }

#[cached(ttl = "60s", tier = hybrid, codec = "json")]
fn quoted(id: u64) -> u64 { id }

#[cached(ttl = "60s", tier = hybrid, compress = gzip)]
fn compressor(id: u64) -> u64 { id }

#[cached(ttl = "60s", tier = hybrid, compress(zstd, max = 5))]
fn threshold(id: u64) -> u64 { id }

fn main() {}
