#![allow(unused_variables)]

use hybridcache::cached;
use hybridcache::codec::{BoxError, Codec};

pub struct Packed;

impl Codec<u64> for Packed {
    const ID: u8 = 200;

    fn encode(&self, value: &u64, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, BoxError> {
        Ok(u64::from_be_bytes(bytes.try_into()?))
    }
}

#[cached(ttl = "60s", tier = hybrid, codec = Packed)]
fn name(id: u64) -> String { id.to_string() }

fn main() {}
