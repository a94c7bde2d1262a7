//! What stands under a key of a remote tier, as bytes.
//!
//! Numbers are big-endian. What a byte is depends on the kind of the record:
//!
//! | at | bytes | `VALUE` (1), `NONE` (2) | `LEASE` (3) | `INTENT` (4) |
//! |---:|---:|---|---|---|
//! | 0 | 2 | magic, `C1 68` (no text and no MessagePack begins like this) | the same | the same |
//! | 2 | 1 | format, 1 | the same | the same |
//! | 3 | 1 | kind | the same | the same |
//! | 4 | 1 | 0 | 1 once somebody waits for the fill, else 0 | 1 once anybody else has touched the key, else 0 |
//! | 5 | 1 | codec; 0 in `NONE` | 0 | 0 |
//! | 6 | 1 | compression; 0 if there is none | 0 | 0 |
//! | 7 | 1 | number of tags | 0 | 0 |
//! | 8 | 16 | version: the nonce of the lease that this filled | nonce of the attempt | nonce of a writer |
//! | 24 | 8 | check | node that holds it; here it ends | when that one's intent ends, in ms like the next; then the next writer |
//! | 32 | 8 | when it ends whatever happens, in ms since 1970 by the server's clock; 0 if it may slide for ever, 1 if no hit prolongs it | | |
//! | 40 | 8 | for how long it lived when it was sent, in ms; all ones if for ever | | |
//! | 48 | 16 | epoch of the meta partition that `born` belongs to | | |
//! | 64 | 8 | `born`: the number of the meta partition that was known when the lease was asked for | | |
//! | 72 | 4 | schema version | | |
//! | 76 | 4 | length of the value before compression; 0 in `NONE` | | |
//! | 80 | 8 each | hashes of the tags | | |
//! | … | | the value, as codec and compression left it; nothing in `NONE` | | |
//!
//! Intents are written by scripts alone (`redis::scripts`), and here told apart from the rest.
//!
//! The *check* is xxh3 of everything from byte 48 on, seeded with the hash of the key's whole text: a value that
//! belongs to another key (a long key travels as a hash) and one that is damaged are both found out. A script may
//! write the bytes before 48 without computing it anew.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::nonce::Nonce;

/// Where the byte is that says whether somebody waits: scripts compare a lease with all of its bytes but this one.
pub(crate) const FLAG_AT: usize = 4;
/// Where the version of a value is, or the nonce of a lease: 16 bytes, compared by scripts.
pub(crate) const VERSION_AT: usize = 8;
/// Where the end of a sliding lifetime is: 8 bytes.
pub(crate) const ENDS_AT: usize = 32;
/// The end of what does not slide: it is over whenever somebody would prolong it.
pub(crate) const FIXED: u64 = 1;

/// How many tags a value may have.
pub(crate) const MAX_TAGS: usize = u8::MAX as usize;

const CHECK_AT: usize = 24;
const LIVES_AT: usize = 40;
const CHECKED_FROM: usize = 48;
const HEADER: usize = 80;
/// How an intent begins: scripts know it by that.
pub(crate) const INTENT_HEAD: [u8; 4] = [MAGIC[0], MAGIC[1], FORMAT, INTENT];
/// What an entry of an intent is that no writer made: replicas are to catch up, so loads may not fill, but puts may.
pub(crate) const SETTLING: Nonce = 0;

/// The entry that an eviction plants for a key that is to settle for so long, if it is.
pub(crate) fn settling(settle: Duration) -> Option<(Nonce, Duration)> {
    (!settle.is_zero()).then_some((SETTLING, settle))
}

/// What a writer is in an intent: its nonce, and when it ends.
const WRITER: usize = 24;
const LEASE_LENGTH: usize = CHECK_AT + 8;
const FOR_EVER: u64 = u64::MAX;
const MAGIC: [u8; 2] = [0xC1, b'h'];
const FORMAT: u8 = 1;
const VALUE: u8 = 1;
const NONE: u8 = 2;
const LEASE: u8 = 3;
const INTENT: u8 = 4;

/// A record, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// A load came to something.
    Filled(Filled<'a>),
    /// A load is under way: who holds the lease may fill, and nobody else.
    Lease(Lease),
    /// Writes are under way, or the key settles after one: loads may run, and none may fill.
    Intent {
        /// It settles: what is loaded may be older than what was evicted.
        settling: bool,
    },
}

/// What a load came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filled<'a> {
    /// The nonce of the lease that was filled.
    pub(crate) version: Nonce,
    /// When it ends whatever happens, in ms since 1970 by the server's clock; 0 if it may slide for ever, [`FIXED`] if no hit prolongs it.
    pub(crate) ends_at: u64,
    /// For how long it lived when it was sent; `None` if for ever.
    pub(crate) lives: Option<Duration>,
    /// The epoch of the meta partition that `born` belongs to.
    pub(crate) epoch: Nonce,
    /// Where the meta partition stood, as far as the loader knew, when it asked for the lease.
    pub(crate) born: u64,
    /// The version of the value's schema.
    pub(crate) schema: u32,
    /// What it is.
    pub(crate) content: Content<'a>,
    tags: &'a [u8],
    check: u64,
    checked: &'a [u8],
}

/// What a load came to, with a value still as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    /// The function returned `None`.
    Nothing,
    /// The function returned a value.
    Value {
        /// The codec it was encoded by.
        codec: u8,
        /// The compression; 0 if there is none.
        compression: u8,
        /// Its length before compression.
        length: u32,
        /// The value as codec and compression left it.
        payload: &'a [u8],
    },
}

/// A load's claim to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Names the attempt.
    pub(crate) nonce: Nonce,
    /// The node that holds it.
    pub(crate) node: u64,
    /// Somebody waits for the fill to be announced.
    pub(crate) awaited: bool,
}

/// What a record says of a value beside the value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp<'a> {
    /// As [`Filled::version`].
    pub(crate) version: Nonce,
    /// As [`Filled::ends_at`].
    pub(crate) ends_at: u64,
    /// As [`Filled::epoch`].
    pub(crate) epoch: Nonce,
    /// As [`Filled::born`].
    pub(crate) born: u64,
    /// Hashes of the tags; at most [`MAX_TAGS`].
    pub(crate) tags: &'a [u64],
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Somebody else's: the magic is missing.
    Foreign,
    /// A format or a kind that this version of the library does not know.
    Newer,
    /// There are fewer bytes than it says.
    Truncated,
    /// It contradicts itself.
    Damaged,
}

impl<'a> Record<'a> {
    /// Reads a record. Allocates nothing. Whether a value belongs to the key and is whole is for
    /// [`Filled::belongs_to`] to say.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Unread(bytes.strip_prefix(&MAGIC).ok_or(Malformed::Foreign)?);
        let [format, kind] = rest.array()?;
        match kind {
            _ if format != FORMAT => Err(Malformed::Newer),
            VALUE | NONE => Filled::decode(kind, rest).map(Self::Filled),
            LEASE => Lease::decode(rest).map(Self::Lease),
            INTENT => Self::decode_intent(rest),
            _ => Err(Malformed::Newer),
        }
    }

    fn decode_intent(mut rest: Unread<'a>) -> Result<Self, Malformed> {
        let [touched, reserved @ ..] = rest.array::<4>()?;
        match rest.0.len() {
            0 => Err(Malformed::Truncated),
            writers if writers % WRITER != 0 => Err(Malformed::Truncated),
            _ if touched > 1 || reserved != [0; 3] => Err(Malformed::Damaged),
            _ => {
                let mut writers = rest.0.chunks_exact(WRITER);
                Ok(Self::Intent { settling: writers.any(|writer| writer.starts_with(&SETTLING.to_be_bytes())) })
            }
        }
    }
}

impl<'a> Filled<'a> {
    fn decode(kind: u8, mut rest: Unread<'a>) -> Result<Self, Malformed> {
        let [flag, codec, compression, tags] = rest.array()?;
        let (version, check, ends_at, lives) = (rest.u128()?, rest.u64()?, rest.u64()?, rest.u64()?);
        let checked = rest.0;
        let (epoch, born, schema, length) = (rest.u128()?, rest.u64()?, rest.u32()?, rest.u32()?);
        let tags = rest.slice(usize::from(tags) * 8)?;
        let payload = rest.0;
        if flag != 0 {
            return Err(Malformed::Damaged);
        }
        let content = match (kind, compression) {
            (NONE, 0) if (codec, length, payload.len()) == (0, 0, 0) => Content::Nothing,
            (NONE, _) => return Err(Malformed::Damaged),
            (_, 0) if payload.len() < length as usize => return Err(Malformed::Truncated),
            (_, 0) if payload.len() > length as usize => return Err(Malformed::Damaged),
            _ => Content::Value { codec, compression, length, payload },
        };
        let lives = (lives != FOR_EVER).then(|| Duration::from_millis(lives));
        Ok(Self { version, ends_at, lives, epoch, born, schema, content, tags, check, checked })
    }

    /// Whether this is the record of the key whose text has this hash, and whole.
    pub(crate) fn belongs_to(&self, key_hash: u64) -> bool {
        self.check == xxh3_64_with_seed(self.checked, key_hash)
    }

    /// The hashes of its tags.
    pub(crate) fn tags(&self) -> impl Iterator<Item = u64> + 'a {
        self.tags.chunks_exact(8).filter_map(|tag| Unread(tag).u64().ok())
    }
}

/// The record of what a load of the key whose text has this hash came to.
///
/// # Panics
///
/// With more than [`MAX_TAGS`] tags.
pub(crate) fn encode_filled(key_hash: u64, schema: u32, stamp: &Stamp<'_>, content: Content<'_>) -> Vec<u8> {
    let (kind, codec, compression, length, payload) = match content {
        Content::Nothing => (NONE, 0, 0, 0, &[][..]),
        Content::Value { codec, compression, length, payload } => (VALUE, codec, compression, length, payload),
    };
    let tags = u8::try_from(stamp.tags.len()).expect("a value has at most 255 tags");
    let mut record = Vec::with_capacity(HEADER + stamp.tags.len() * 8 + payload.len());
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&[FORMAT, kind, 0, codec, compression, tags]);
    record.extend_from_slice(&stamp.version.to_be_bytes());
    record.extend_from_slice(&[0; 8]);
    record.extend_from_slice(&stamp.ends_at.to_be_bytes());
    record.extend_from_slice(&FOR_EVER.to_be_bytes());
    record.extend_from_slice(&stamp.epoch.to_be_bytes());
    record.extend_from_slice(&stamp.born.to_be_bytes());
    record.extend_from_slice(&schema.to_be_bytes());
    record.extend_from_slice(&length.to_be_bytes());
    for tag in stamp.tags {
        record.extend_from_slice(&tag.to_be_bytes());
    }
    record.extend_from_slice(payload);
    let check = xxh3_64_with_seed(&record[CHECKED_FROM..], key_hash);
    record[CHECK_AT..ENDS_AT].copy_from_slice(&check.to_be_bytes());
    record
}

/// Writes into a record that it lives for so long, as it is about to be sent.
pub(crate) fn say_lives(record: &mut [u8], lives: Duration) {
    let lives = u64::try_from(lives.as_millis()).unwrap_or(FOR_EVER);
    record[LIVES_AT..CHECKED_FROM].copy_from_slice(&lives.to_be_bytes());
}

impl Lease {
    fn decode(mut rest: Unread<'_>) -> Result<Self, Malformed> {
        let [flag, reserved @ ..] = rest.array::<4>()?;
        let (nonce, node) = (rest.u128()?, rest.u64()?);
        if flag > 1 || reserved != [0; 3] || !rest.0.is_empty() {
            return Err(Malformed::Damaged);
        }
        Ok(Self { nonce, node, awaited: flag == 1 })
    }

    /// The record by which a load claims a key.
    pub(crate) fn encode(&self) -> [u8; LEASE_LENGTH] {
        let [m0, m1] = MAGIC;
        let mut record = [0; LEASE_LENGTH];
        record[..VERSION_AT].copy_from_slice(&[m0, m1, FORMAT, LEASE, self.awaited.into(), 0, 0, 0]);
        record[VERSION_AT..CHECK_AT].copy_from_slice(&self.nonce.to_be_bytes());
        record[CHECK_AT..].copy_from_slice(&self.node.to_be_bytes());
        record
    }
}

/// Bytes that are still to be read. Each step takes away what it reads, and fails where there is too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unread<'a>(pub(crate) &'a [u8]);

impl<'a> Unread<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Malformed> {
        self.array().map(u128::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: u64 = 0xfeed;

    fn lease(nonce: Nonce, node: u64, awaited: bool) -> Lease {
        Lease { nonce, node, awaited }
    }

    fn intent(writers: usize) -> Vec<u8> {
        [&MAGIC[..], &[FORMAT, INTENT, 1, 0, 0, 0], &[7; WRITER].repeat(writers)].concat()
    }

    fn stamp(tags: &[u64]) -> Stamp<'_> {
        Stamp { version: 7 << 100, ends_at: 8, epoch: 9, born: 10, tags }
    }

    fn value(payload: &[u8]) -> Content<'_> {
        Content::Value { codec: 1, compression: 0, length: payload.len() as u32, payload }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            version: Nonce, ends_at: u64, epoch: Nonce, born: u64, schema: u32,
            tags in prop::collection::vec(any::<u64>(), 0..=MAX_TAGS),
            payload: Vec<u8>, codec: u8, compression: u8, any_length: u32, some: bool,
        ) {
            let length = if compression == 0 { payload.len() as u32 } else { any_length };
            let content = if some {
                Content::Value { codec, compression, length, payload: &payload }
            } else {
                Content::Nothing
            };
            let stamp = Stamp { version, ends_at, epoch, born, tags: &tags };
            let record = encode_filled(KEY, schema, &stamp, content);
            let Ok(Record::Filled(filled)) = Record::decode(&record) else { panic!("not decoded") };
            prop_assert_eq!((filled.version, filled.ends_at, filled.epoch), (version, ends_at, epoch));
            prop_assert_eq!((filled.born, filled.schema, filled.content), (born, schema, content));
            prop_assert_eq!(filled.tags().collect::<Vec<_>>(), tags);
            prop_assert!(filled.belongs_to(KEY) && !filled.belongs_to(KEY + 1));
        }

        #[test]
        fn leases_and_intents_are_decoded(nonce: Nonce, node: u64, awaited: bool, writers in 1..5_usize) {
            let lease = lease(nonce, node, awaited);
            let (leased, intended) = (lease.encode(), intent(writers));
            prop_assert_eq!(Record::decode(&leased), Ok(Record::Lease(lease)));
            prop_assert_eq!(Record::decode(&intended), Ok(Record::Intent { settling: false }));
            let settling = [intended, vec![0; WRITER]].concat();
            prop_assert_eq!(Record::decode(&settling), Ok(Record::Intent { settling: true }));
        }

        #[test]
        fn foreign_bytes_are_foreign(bytes: Vec<u8>) {
            prop_assume!(!bytes.starts_with(&MAGIC));
            prop_assert_eq!(Record::decode(&bytes), Err(Malformed::Foreign));
        }
    }

    #[test]
    fn scripts_find_what_they_compare() {
        let nonce = Nonce::from_be_bytes(*b"0123456789abcdef");
        let asleep = lease(nonce, 1, false).encode();
        let awaited = lease(nonce, 1, true).encode();
        assert_eq!((asleep[FLAG_AT], awaited[FLAG_AT]), (0, 1));
        assert_eq!(asleep[..FLAG_AT], awaited[..FLAG_AT]);
        assert_eq!(asleep[FLAG_AT + 1..], awaited[FLAG_AT + 1..], "the flag is a byte of its own");
        assert_eq!(asleep[VERSION_AT..VERSION_AT + 16], *b"0123456789abcdef");
        assert_eq!(asleep.len(), 32);

        let stamp = Stamp { version: nonce, ends_at: 0x0102_0304_0506_0708, ..stamp(&[]) };
        let mut filled = encode_filled(KEY, 1, &stamp, value(b"value"));
        assert_eq!(filled[VERSION_AT..VERSION_AT + 16], *b"0123456789abcdef");
        assert_eq!(filled[ENDS_AT..ENDS_AT + 8], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(filled.len(), 80 + 5);
        filled[ENDS_AT] = 9;
        let Ok(Record::Filled(decoded)) = Record::decode(&filled) else { panic!("not decoded") };
        assert!(decoded.belongs_to(KEY), "a script may write when it ends");
        assert_eq!(decoded.lives, None);
        say_lives(&mut filled, Duration::from_micros(1_500));
        let Ok(Record::Filled(decoded)) = Record::decode(&filled) else { panic!("not decoded") };
        assert!(decoded.belongs_to(KEY), "so may whoever sends it");
        assert_eq!((decoded.lives, decoded.ends_at), (Some(Duration::from_millis(1)), 0x0902_0304_0506_0708));
        say_lives(&mut filled, Duration::MAX);
        assert!(matches!(Record::decode(&filled), Ok(Record::Filled(Filled { lives: None, .. }))));
    }

    #[test]
    fn a_record_cut_anywhere_is_no_record() {
        let records = [
            encode_filled(KEY, 1, &stamp(&[1, 2, 3]), value(b"value")),
            encode_filled(KEY, 1, &stamp(&[1]), Content::Nothing),
            lease(1, 2, true).encode().to_vec(),
        ];
        for record in records {
            for length in 0..record.len() {
                let expected = if length < 2 { Malformed::Foreign } else { Malformed::Truncated };
                assert_eq!(Record::decode(&record[..length]), Err(expected), "{length} of {record:?}");
            }
            let mut longer = record.clone();
            longer.push(0);
            assert_eq!(Record::decode(&longer), Err(Malformed::Damaged), "{record:?}");
        }
        for length in 2..8 + 2 * WRITER {
            let whole = length > 8 && (length - 8) % WRITER == 0;
            let expected = if whole { Ok(Record::Intent { settling: false }) } else { Err(Malformed::Truncated) };
            assert_eq!(Record::decode(&intent(2)[..length]), expected, "{length}");
        }
    }

    #[test]
    fn a_later_format_or_kind_is_newer_and_what_is_reserved_is_damage() {
        for record in [lease(1, 2, false).encode().to_vec(), intent(1)] {
            let with = |at: usize, byte| {
                let mut record = record.clone();
                record[at] = byte;
                record
            };
            for (at, byte) in [(2, 2), (2, 0), (3, 0), (3, 5)] {
                assert_eq!(Record::decode(&with(at, byte)), Err(Malformed::Newer), "{byte} at {at}");
            }
            for (at, byte) in [(4, 2), (5, 1), (6, 1), (7, 1)] {
                assert_eq!(Record::decode(&with(at, byte)), Err(Malformed::Damaged), "{byte} at {at}");
            }
        }
    }

    #[test]
    fn a_changed_bit_behind_the_check_is_found() {
        let record = encode_filled(KEY, 1, &stamp(&[1]), value(b"value"));
        for bit in CHECK_AT * 8..record.len() * 8 {
            let mut changed = record.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let free = (ENDS_AT..CHECKED_FROM).contains(&(bit / 8));
            let whole = matches!(Record::decode(&changed), Ok(Record::Filled(filled)) if filled.belongs_to(KEY));
            assert_eq!(whole, free, "bit {bit}");
        }
    }
}
