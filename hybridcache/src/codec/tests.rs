use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::compress::decompress;
use super::wire::{DEFAULT_MAX_BYTES, Unsent, Unusable, Wire};
use super::*;
use crate::key::text::{KeyText, Spelling};
use crate::record::{Content, Filled, Record, Stamp};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    id: u64,
    wide: i128,
    ratio: f64,
    name: String,
    parts: Vec<(String, Option<u32>)>,
    raw: Vec<u8>,
    kind: Kind,
    counts: BTreeMap<String, i16>,
    inner: Option<Box<(bool, char)>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    Number(u8),
    Named { text: String },
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Order {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(double, repeated, tag = "3")]
    prices: Vec<f64>,
    #[prost(message, optional, boxed, tag = "4")]
    inner: Option<Box<Order>>,
    #[prost(bytes = "vec", tag = "5")]
    raw: Vec<u8>,
}

pub(crate) fn sample() -> Sample {
    Sample {
        id: 7,
        wide: -(1 << 100),
        ratio: 0.1 + 0.2,
        name: "a name".to_owned(),
        parts: (0..5).map(|i| (format!("part {i}"), (i % 2 == 0).then_some(i))).collect(),
        raw: (0..=255).collect(),
        kind: Kind::Named { text: "text".to_owned() },
        counts: (0..5).map(|i| (format!("count {i}"), i)).collect(),
        inner: Some(Box::new((true, 'é'))),
    }
}

pub(crate) fn order() -> Order {
    let inner = Order { id: 8, ..Order::default() };
    Order { id: 7, name: "name".to_owned(), prices: vec![0.1, 0.2], inner: Some(Box::new(inner)), raw: vec![1, 2, 3] }
}

fn samples() -> impl Strategy<Value = Sample> {
    let kind = prop_oneof![
        Just(Kind::Plain),
        any::<u8>().prop_map(Kind::Number),
        any::<String>().prop_map(|text| Kind::Named { text }),
    ];
    let ratio = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    (any::<(u64, i128, String, Vec<(String, Option<u32>)>, Vec<u8>)>(), ratio, kind, any::<BTreeMap<String, i16>>())
        .prop_flat_map(|((id, wide, name, parts, raw), ratio, kind, counts)| {
            any::<Option<(bool, char)>>().prop_map(move |inner| Sample {
                id,
                wide,
                ratio,
                name: name.clone(),
                parts: parts.clone(),
                raw: raw.clone(),
                kind: kind.clone(),
                counts: counts.clone(),
                inner: inner.map(Box::new),
            })
        })
}

const STAMP: Stamp<'static> = Stamp { version: 1, ends_at: 2, epoch: 3, born: 4, tags: &[] };

fn key(key: u64) -> KeyText {
    Spelling::new().spell(&key).unwrap()
}

fn filled(record: &[u8]) -> Filled<'_> {
    match Record::decode(record) {
        Ok(Record::Filled(filled)) => filled,
        other => panic!("{other:?}"),
    }
}

fn wire<V: 'static>(codec: impl Codec<V>) -> Wire<V> {
    Wire::new(codec, 1, Compression::default(), DEFAULT_MAX_BYTES)
}

fn encoded<V>(codec: impl Codec<V>, value: &V) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    bytes
}

/// Through the record and back, with each compression.
fn round_trip<V: Debug + PartialEq + 'static>(codec: impl Codec<V> + Copy, value: &V) {
    for compression in [Compression::default(), Compression::lz4().min(0), Compression::zstd().min(0)] {
        let wire = Wire::new(codec, 1, compression, DEFAULT_MAX_BYTES);
        let record = wire.encode(&key(7), Some(value), &STAMP).unwrap();
        assert_eq!(wire.decode(&key(7), &filled(&record)).unwrap().as_ref(), Some(value), "{compression:?}");
    }
}

fn round_trips<V: Debug + PartialEq + Serialize + DeserializeOwned + 'static>(value: &V) {
    round_trip(MsgPack, value);
    round_trip(Json, value);
    round_trip(Postcard, value);
    round_trip(Bincode, value);
}

proptest! {
    #[test]
    fn every_codec_of_serde_reads_what_it_wrote(value in samples()) {
        round_trips(&value);
        round_trips(&Arc::new(value.clone()));
        round_trips(&vec![value.clone(), value]);
    }

    #[test]
    fn protobuf_reads_what_it_wrote(id: u64, name: String, prices: Vec<i32>, raw: Vec<u8>) {
        let prices = prices.into_iter().map(|cents| f64::from(cents) / 100.0).collect();
        let order = Order { id, name, prices, inner: Some(Box::new(order())), raw };
        round_trip(Protobuf, &order);
        round_trip(Shared(Protobuf), &Arc::new(order.clone()));
        round_trip(ProtobufList, &vec![order.clone(), Order::default(), order]);
        round_trip(ProtobufList, &Vec::<Order>::new());
    }

    #[test]
    fn prices_come_back_exactly(value: f64) {
        let read: f64 = Json.decode(&encoded(Json, &value)).unwrap();
        prop_assert_eq!(read.to_bits(), value.to_bits());
    }
}

#[test]
fn shared_texts_and_lists_travel() {
    round_trips(&Arc::<str>::from("text"));
    round_trips(&Arc::<[u64]>::from([1, 2, 3]));
    round_trips(&());
    round_trips(&String::new());
}

#[test]
fn what_is_absent_travels_without_the_codec() {
    let wire = wire::<Sample>(MsgPack);
    let record = wire.encode(&key(7), None, &STAMP).unwrap();
    assert_eq!(filled(&record).content, Content::Nothing);
    assert_eq!(wire.decode(&key(7), &filled(&record)).unwrap(), None);
    assert!(matches!(wire.decode(&key(8), &filled(&record)), Err(Unusable::OtherKey)));
}

#[test]
fn another_schema_codec_or_key_is_a_miss() {
    for value in [Some(sample()), None] {
        let record = wire(MsgPack).encode(&key(7), value.as_ref(), &STAMP).unwrap();
        let other = Wire::<Sample>::new(MsgPack, 2, Compression::default(), DEFAULT_MAX_BYTES);
        assert!(matches!(other.decode(&key(7), &filled(&record)), Err(Unusable::OtherSchema)));
        assert!(matches!(wire::<Sample>(MsgPack).decode(&key(8), &filled(&record)), Err(Unusable::OtherKey)));
    }
    let record = wire(MsgPack).encode(&key(7), Some(&sample()), &STAMP).unwrap();
    assert!(matches!(wire::<Sample>(Json).decode(&key(7), &filled(&record)), Err(Unusable::OtherCodec)));
}

#[test]
fn a_damaged_record_is_never_another_value() {
    for compression in [Compression::default(), Compression::lz4().min(0), Compression::zstd().min(0)] {
        let wire = Wire::new(Postcard, 1, compression, DEFAULT_MAX_BYTES);
        let record = wire.encode(&key(7), Some(&sample()), &STAMP).unwrap();
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(Record::Filled(filled)) = Record::decode(&damaged)
                && let Ok(value) = wire.decode(&key(7), &filled)
            {
                assert_eq!(value, Some(sample()), "bit {bit}");
            }
        }
        for length in 0..record.len() {
            if let Ok(Record::Filled(filled)) = Record::decode(&record[..length]) {
                assert!(wire.decode(&key(7), &filled).is_err(), "{length} bytes");
            }
        }
    }
}

#[test]
fn a_value_over_the_cap_is_neither_sent_nor_read() {
    let value = "x".repeat(1_000);
    let small = Wire::new(Postcard, 1, Compression::lz4(), 1_001);
    assert!(matches!(small.encode(&key(7), Some(&value), &STAMP), Err(Unsent::TooLarge)));
    let record = wire(Postcard).encode(&key(7), Some(&value), &STAMP).unwrap();
    assert!(matches!(small.decode(&key(7), &filled(&record)), Err(Unusable::TooLarge)));
    let exact = Wire::new(Postcard, 1, Compression::lz4(), 1_002);
    let record = exact.encode(&key(7), Some(&value), &STAMP).unwrap();
    assert_eq!(exact.decode(&key(7), &filled(&record)).unwrap(), Some(value));
    let tags = vec![0; 256];
    assert!(matches!(exact.encode(&key(7), None, &Stamp { tags: &tags, ..STAMP }), Err(Unsent::TooLarge)));
}

#[test]
fn what_does_not_shrink_by_a_tenth_is_sent_as_it_is() {
    let noise: Vec<u8> =
        (0..4_000_u64).flat_map(|i| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes()).to_le_bytes()).collect();
    let zeros = vec![0_u8; 4_000];
    for compression in [Compression::lz4(), Compression::zstd()] {
        assert_eq!(compression.compress(&noise), None);
        assert_eq!(compression.min(4_001).compress(&zeros), None, "below the threshold");
        let (id, compressed) = compression.compress(&zeros).unwrap();
        assert!(compressed.len() < 100);
        assert_eq!(decompress(id, &compressed, 4_000).unwrap(), zeros);
    }
    assert_eq!(Compression::default().compress(&zeros), None);
}

#[test]
fn a_bomb_is_found_before_it_goes_off() {
    let zeros = vec![0_u8; 64 << 20];
    for compression in [Compression::lz4(), Compression::zstd()] {
        let (id, bomb) = compression.compress(&zeros).unwrap();
        // What it says it is is all that is allocated for it.
        for length in [0, 1, 1_000, (64 << 20) - 1] {
            let counted = allocation_counter::measure(|| assert!(decompress(id, &bomb, length).is_none(), "{length}"));
            assert!(counted.bytes_max <= length as u64 + (256 << 10), "{counted:?} for {length}");
        }
        assert!(decompress(id, &bomb, (64 << 20) + 1).is_none(), "it has to be as long as it says");
        // And it may not say more than a value may be.
        let wire = wire::<Vec<u8>>(Postcard);
        let content = Content::Value { codec: 4, compression: id, length: 64 << 20, payload: &bomb };
        let record = crate::record::encode_filled(key(7).hash(), 1, &STAMP, content);
        let counted = allocation_counter::measure(|| {
            assert!(matches!(wire.decode(&key(7), &filled(&record)), Err(Unusable::TooLarge)));
        });
        assert!(counted.bytes_max < 1_000, "{counted:?}");
    }
}

#[test]
fn a_compression_that_is_not_known_is_a_miss() {
    let content = Content::Value { codec: 4, compression: 9, length: 3, payload: b"\x02hi" };
    let record = crate::record::encode_filled(key(7).hash(), 1, &STAMP, content);
    assert!(matches!(wire::<String>(Postcard).decode(&key(7), &filled(&record)), Err(Unusable::Compression)));
}

#[derive(Clone, Copy)]
struct Moody;

impl Codec<u8> for Moody {
    const ID: u8 = 200;

    fn encode(&self, value: &u8, into: &mut Vec<u8>) -> Result<(), BoxError> {
        match value {
            0 => panic!("in encode"),
            1 => Err("not today".into()),
            _ => {
                into.push(*value);
                Ok(())
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<u8, BoxError> {
        match bytes {
            [2] => panic!("in decode"),
            [3] => Err("not today".into()),
            [value] => Ok(*value),
            _ => Err("not one byte".into()),
        }
    }
}

#[test]
fn a_codec_of_ones_own_may_fail_and_panic() {
    let wire = wire::<u8>(Moody);
    for value in [0, 1] {
        assert!(matches!(wire.encode(&key(7), Some(&value), &STAMP), Err(Unsent::Codec(_))));
    }
    for value in [2, 3] {
        let record = wire.encode(&key(7), Some(&value), &STAMP).unwrap();
        assert!(matches!(wire.decode(&key(7), &filled(&record)), Err(Unusable::Codec(_))));
    }
    round_trip(Moody, &4);
    round_trip(Shared(Moody), &Arc::new(4));
}

#[test]
fn a_changed_type_is_read_by_name() {
    #[derive(Serialize)]
    struct Old {
        id: u64,
        gone: String,
        name: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        name: String,
        #[serde(default)]
        added: Vec<u8>,
        id: u64,
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Renamed {
        identity: u64,
    }
    let old = Old { id: 7, gone: "gone".to_owned(), name: "name".to_owned() };
    let mut msgpack = Vec::new();
    old.serialize(&mut rmp_serde::Serializer::new(&mut msgpack).with_struct_map()).unwrap();
    let json = serde_json::to_vec(&old).unwrap();
    let new = New { name: "name".to_owned(), added: Vec::new(), id: 7 };
    assert_eq!(Codec::<New>::decode(&MsgPack, &msgpack).unwrap(), new);
    assert_eq!(Codec::<New>::decode(&Json, &json).unwrap(), new);
    assert!(Codec::<Renamed>::decode(&MsgPack, &msgpack).is_err());
    assert!(Codec::<Renamed>::decode(&Json, &json).is_err());
}

#[test]
fn a_type_that_lost_its_last_field_is_no_value_of_a_positional_codec() {
    let old = (7_u64, "last".to_owned());
    assert!(Codec::<(u64,)>::decode(&Postcard, &encoded(Postcard, &old)).is_err());
    assert!(Codec::<(u64,)>::decode(&Bincode, &encoded(Bincode, &old)).is_err());
}

#[test]
fn a_claimed_length_is_not_believed() {
    // A length of 2^62, and nothing behind it.
    let bincode = [&[253][..], &(1_u64 << 62).to_le_bytes()].concat();
    let postcard = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
    let msgpack_text = [0xdb, 0xff, 0xff, 0xff, 0xff];
    let msgpack_list = [0xdd, 0xff, 0xff, 0xff, 0xff];
    let counted = allocation_counter::measure(|| {
        assert!(Codec::<String>::decode(&Bincode, &bincode).is_err());
        assert!(Codec::<Vec<u64>>::decode(&Bincode, &bincode).is_err());
        assert!(Codec::<String>::decode(&Postcard, &postcard).is_err());
        assert!(Codec::<Vec<u64>>::decode(&Postcard, &postcard).is_err());
        assert!(Codec::<String>::decode(&MsgPack, &msgpack_text).is_err());
        assert!(Codec::<Vec<u64>>::decode(&MsgPack, &msgpack_list).is_err());
    });
    assert!(counted.bytes_max <= 1 << 20, "{counted:?}");
}

#[test]
fn bincode_does_not_send_what_its_limit_would_not_let_in() {
    let many = vec![1_u64; (16 << 20) / 8];
    assert!(Bincode.encode(&many, &mut Vec::new()).is_err());
    let fewer = vec![1_u64; (16 << 20) / 8 - 1];
    let bytes = encoded(Bincode, &fewer);
    assert_eq!(Codec::<Vec<u64>>::decode(&Bincode, &bytes).unwrap(), fewer);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

#[test]
fn a_nesting_without_end_is_an_error() {
    assert!(Codec::<serde_json::Value>::decode(&Json, &[b'['; 400_000]).is_err());
    assert!(Codec::<Nested>::decode(&Json, &[b'['; 400_000]).is_err());
    assert!(Codec::<serde_json::Value>::decode(&MsgPack, &[0x91; 400_000]).is_err());
    assert!(Codec::<Nested>::decode(&MsgPack, &[0x91; 400_000]).is_err());
    // Field 4, length-delimited, over and over.
    let mut order = Vec::new();
    for _ in 0..2_000 {
        let inner = std::mem::take(&mut order);
        order.push(0x22);
        prost::encode_length_delimiter(inner.len(), &mut order).unwrap();
        order.extend_from_slice(&inner);
    }
    assert!(Codec::<Order>::decode(&Protobuf, &order).is_err());
}
