#![no_main]

use std::collections::BTreeMap;

use hybridcache::codec::{Bincode, Codec, Json, MsgPack, Postcard, Protobuf, ProtobufList};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Sample {
    id: u64,
    wide: i128,
    ratio: f64,
    parts: Vec<(String, Option<u32>)>,
    raw: Vec<u8>,
    kind: Kind,
    counts: BTreeMap<String, i16>,
    inner: Option<Box<(bool, char)>>,
}

#[derive(Serialize, Deserialize)]
enum Kind {
    Plain,
    Number(u8),
    Named { text: String },
}

#[derive(Clone, PartialEq, prost::Message)]
struct Order {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(double, repeated, tag = "3")]
    prices: Vec<f64>,
    #[prost(message, optional, boxed, tag = "4")]
    inner: Option<Box<Order>>,
    #[prost(bytes = "vec", tag = "5")]
    raw: Vec<u8>,
}

/// What was read is written, and that is read as what writes the same.
fn read<V>(codec: impl Codec<V>, bytes: &[u8]) {
    let encode = |value: &V| {
        let mut bytes = Vec::new();
        codec.encode(value, &mut bytes).unwrap();
        bytes
    };
    if let Ok(value) = codec.decode(bytes) {
        let bytes = encode(&value);
        assert_eq!(encode(&codec.decode(&bytes).unwrap()), bytes);
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((0, bytes)) => read::<Sample>(MsgPack, bytes),
        Some((1, bytes)) => read::<Sample>(Json, bytes),
        Some((2, bytes)) => read::<Sample>(Postcard, bytes),
        Some((3, bytes)) => read::<Sample>(Bincode, bytes),
        Some((4, bytes)) => read::<Order>(Protobuf, bytes),
        Some((5, bytes)) => read::<Vec<Order>>(ProtobufList, bytes),
        _ => {}
    }
});
