//! The fuzz targets on mutations of what is right, drawn from a seed: the same each time, on any compiler.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;
use crate::codec::tests::{order, sample};
use crate::codec::{Protobuf, ProtobufList};
use crate::record::{Content, Lease};

const MUTATIONS: usize = 200_000;

struct Random(TestRng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound.max(1))
    }

    /// One to four changes of the kinds that decoders trip over.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let byte: u8 = self.0.random();
            match self.below(7) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << (byte % 8),
                1 if !bytes.is_empty() => bytes[at] = byte,
                // What a length looks like that claims much.
                2 if !bytes.is_empty() => {
                    let huge = [0xff, 0xfe, 0xfd, 0xfc, 0x7f, 0x80, 0xdd, 0xdf][self.below(8)];
                    let end = (at + 1 + self.below(9)).min(bytes.len());
                    bytes[at..end].fill(huge);
                }
                3 => bytes.truncate(at),
                4 => bytes.insert(at, byte),
                5 => drop(bytes.drain(at..(at + self.below(16)).min(bytes.len()))),
                _ => {
                    let end = (at + self.below(32)).min(bytes.len());
                    let again = bytes[at..end].to_vec();
                    let into = self.below(bytes.len());
                    bytes.splice(into..into, again);
                }
            }
        }
    }
}

/// Runs `target` on mutations of `seeds`: it does not panic, and none of its runs holds more than `allowed` bytes.
fn bears(seeds: &[Vec<u8>], allowed: usize, target: impl Fn(&[u8])) {
    let mut random = Random(TestRng::deterministic_rng(RngAlgorithm::XorShift));
    for round in 0..MUTATIONS {
        let mut bytes = seeds[round % seeds.len()].clone();
        random.mutate(&mut bytes);
        let counted = allocation_counter::measure(|| {
            if catch_unwind(AssertUnwindSafe(|| target(&bytes))).is_err() {
                panic!("round {round}: {bytes:?}");
            }
        });
        assert!(counted.bytes_max <= allowed as u64, "round {round}: {counted:?} for {bytes:?}");
    }
}

/// A codec neither panics nor holds more than `allowed` bytes; what it reads, it writes and reads again.
fn codec_bears<V: Debug>(codec: impl Codec<V>, value: &V, allowed: usize) {
    let encode = |value: &V| {
        let mut bytes = Vec::new();
        codec.encode(value, &mut bytes).unwrap();
        bytes
    };
    bears(&[encode(value)], allowed, |bytes| {
        if let Ok(value) = codec.decode(bytes) {
            let bytes = encode(&value);
            assert_eq!(encode(&codec.decode(&bytes).unwrap()), bytes, "{value:?}");
        }
    });
}

fn seeds() -> Vec<Vec<u8>> {
    let value: Value = (7, "text".repeat(50), Some(vec![1; 300]), vec![("price".to_owned(), 0.5)]);
    let stamp = Stamp { version: 1 << 99, ends_at: 2, epoch: 3, born: 4, tags: &[5, 6] };
    let lease = Lease { nonce: 1 << 88, node: 2, awaited: true };
    let mut seeds = vec![lease.encode().to_vec(), record::encode_filled(key().hash(), 1, &stamp, Content::Nothing)];
    for compression in [Compression::default(), Compression::lz4().min(0), Compression::zstd().min(0)] {
        let wires = [
            Wire::new(MsgPack, 1, compression, MAX_BYTES),
            Wire::new(Json, 1, compression, MAX_BYTES),
            Wire::new(Postcard, 1, compression, MAX_BYTES),
            Wire::new(Bincode, 1, compression, MAX_BYTES),
        ];
        seeds.extend(wires.map(|wire| wire.encode(&key(), Some(&value), &stamp).unwrap()));
    }
    seeds
}

#[test]
fn records_bear_anything() {
    for seed in seeds() {
        record(&seed);
    }
    // bincode's limit is the most of them; the values themselves are of 64 KiB at most.
    bears(&seeds(), 9 << 20, record);
}

#[test]
fn messages_bear_anything() {
    let key = bus::NamedKey { name: "shop::user", text: "[7,\"en\"]" };
    let numbered = |tail: &[u8]| [&[1][..], &[7; 56], tail].concat();
    let seeds = [
        numbered(&bus::keys_tail(1, [key; 20])),
        numbered(&bus::clear_tail(2, "shop::user")),
        numbered(&bus::floor_tail(3)),
        bus::wake(4, key, Some(&seeds()[3])),
        bus::probe(5),
    ];
    bears(&seeds, 4 << 10, message);
    for seed in seeds {
        let counted = allocation_counter::measure(|| assert!(Message::decode(&seed).is_ok()));
        assert_eq!(counted.count_total, 0, "a message is read where it is");
    }
}

#[test]
fn msgpack_bears_anything() {
    codec_bears(MsgPack, &sample(), 2 << 20);
}

#[test]
fn json_bears_anything() {
    codec_bears(Json, &sample(), 64 << 10);
}

#[test]
fn postcard_bears_anything() {
    codec_bears(Postcard, &sample(), 64 << 10);
}

#[test]
fn bincode_bears_anything() {
    codec_bears(Bincode, &sample(), 9 << 20);
}

#[test]
fn protobuf_bears_anything() {
    codec_bears(Protobuf, &order(), 64 << 10);
    codec_bears(ProtobufList, &vec![order(), order()], 64 << 10);
}
