//! What the fuzz targets call: each takes anything, and panics if the library does not keep its word about it.

use crate::bus::{self, Body, Message};
use crate::codec::wire::{Unusable, Wire};
use crate::codec::{Bincode, Codec, Compression, Json, MsgPack, Postcard};
use crate::key::text::{KeyText, Spelling};
use crate::record::{self, Record, Stamp};

/// The most that a value may be here.
pub const MAX_BYTES: usize = 64 << 10;

type Value = (u64, String, Option<Vec<u8>>, Vec<(String, f64)>);

fn key() -> KeyText {
    Spelling::new().spell(&7_u64).expect("a number has a text")
}

fn wire(codec: impl Codec<Value>) -> Wire<Value> {
    Wire::new(codec, 1, Compression::default(), MAX_BYTES)
}

/// Reads a record, and the value in it as if it were whole.
pub fn record(bytes: &[u8]) {
    let Ok(decoded) = Record::decode(bytes) else { return };
    match decoded {
        Record::Lease(lease) => assert_eq!(lease.encode(), bytes),
        Record::Intent { .. } => {}
        Record::Filled(filled) => {
            let tags: Vec<u64> = filled.tags().collect();
            let (version, ends_at, epoch, born) = (filled.version, filled.ends_at, filled.epoch, filled.born);
            let stamp = Stamp { version, ends_at, epoch, born, tags: &tags };
            let whole = record::encode_filled(key().hash(), 1, &stamp, filled.content);
            assert_eq!(whole.len(), bytes.len());
            let Ok(Record::Filled(filled)) = Record::decode(&whole) else { panic!("it is what it was") };
            for wire in [wire(MsgPack), wire(Json), wire(Postcard), wire(Bincode)] {
                match wire.decode(&key(), &filled) {
                    Ok(Some(value)) => {
                        let again = wire.encode(&key(), Some(&value), &stamp).expect("it was read");
                        let Ok(Record::Filled(again)) = Record::decode(&again) else { panic!("it was just written") };
                        wire.decode(&key(), &again).expect("it was just written");
                    }
                    Ok(None) => {}
                    Err(why) => assert!(!matches!(why, Unusable::OtherSchema | Unusable::OtherKey), "{why:?}"),
                }
            }
        }
    }
}

/// Reads a message of the bus.
pub fn message(bytes: &[u8]) {
    let Ok(decoded) = Message::decode(bytes) else { return };
    match decoded {
        Message::Probe(nonce) => assert_eq!(bus::probe(nonce), bytes),
        Message::Wake(wake) => {
            let again = bus::wake(wake.nonce, wake.key, wake.record);
            assert!(bytes.starts_with(&again), "all but a record that is not small");
        }
        Message::Numbered(message) => {
            let again = match message.body {
                Body::Keys(keys) => bus::keys_tail(message.sender, keys),
                Body::Clear(name) => bus::clear_tail(message.sender, name),
                Body::Floor => return,
            };
            assert!(bytes.ends_with(&again) || bytes.len() > 64 << 10, "what was read is what was there");
        }
    }
}

#[cfg(test)]
#[path = "fuzz_tests.rs"]
mod tests;
