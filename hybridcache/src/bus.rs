//! What nodes tell one another, as bytes.
//!
//! An invalidation is *numbered*: the script that takes the number writes the first 57 bytes, and what follows is the *tail* that
//! the sender gave it. The others are sent whole. Numbers are big-endian; `text` is that of a key, `name` that of a cache,
//! each preceded by its length in 2 bytes unless it is the last.
//!
//! | message | layout |
//! |---|---|
//! | numbered (1) | format 1 B, epoch 16 B, number 8 B, previous link 16 B, link 16 B; tail: sender 8 B, kind 1 B, body |
//! | – `keys` (1) | `name` `text`, as often as there are keys |
//! | – `clear` (2) | `name`, or `*` for every cache of the namespace |
//! | – `floor` (3) | nothing: whatever is older than this number is dead |
//! | wake (2) | format 1 B, nonce of the lease 16 B, `name` `text`, the record if it is small |
//! | probe (3) | format 1 B, nonce 16 B |

use crate::coherence::node::Mark;
use crate::nonce::Nonce;
use crate::record::{Malformed, Unread};

const NUMBERED: u8 = 1;
const WAKE: u8 = 2;
const PROBE: u8 = 3;
const KEYS: u8 = 1;
const CLEAR: u8 = 2;
const FLOOR: u8 = 3;

/// What a script writes before the tail.
const PREFIX: usize = 57;
/// The longest message that names keys; one that names more is a floor.
const LONGEST: usize = 64 << 10;
/// The longest record that travels with a wake.
const SMALL: usize = 1 << 10;

/// A message, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// An invalidation.
    Numbered(Numbered<'a>),
    /// A lease was filled or given up.
    Wake(Wake<'a>),
    /// A node wants to know whether it hears what it says.
    Probe(Nonce),
}

/// An invalidation, and its place in the history of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered<'a> {
    /// Where the partition stands with it.
    pub(crate) mark: Mark,
    /// The link before it; the epoch itself where it is the first.
    pub(crate) previous: Nonce,
    /// The node that sent it.
    pub(crate) sender: u64,
    /// What is no longer valid.
    pub(crate) body: Body<'a>,
}

/// What is no longer valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// These keys.
    Keys(Keys<'a>),
    /// The cache of this name, or with `*` every cache of the namespace.
    Clear(&'a str),
    /// Everything of the partition.
    Floor,
}

/// The end of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wake<'a> {
    /// The lease.
    pub(crate) nonce: Nonce,
    /// The key it was for.
    pub(crate) key: NamedKey<'a>,
    /// The record that stands there now, if it is small.
    pub(crate) record: Option<&'a [u8]>,
}

/// A key of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NamedKey<'a> {
    /// The cache.
    pub(crate) name: &'a str,
    /// The key's text.
    pub(crate) text: &'a str,
}

/// The keys of a message, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keys<'a>(Unread<'a>);

impl<'a> Message<'a> {
    /// Reads a message. Allocates nothing.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Unread(bytes);
        match rest.array()? {
            [NUMBERED] => Numbered::decode(rest).map(Self::Numbered),
            [WAKE] => Ok(Self::Wake(Wake {
                nonce: rest.u128()?,
                key: NamedKey::decode(&mut rest)?,
                record: Some(rest.0).filter(|record| !record.is_empty()),
            })),
            [PROBE] => match (rest.u128()?, rest.0) {
                (nonce, []) => Ok(Self::Probe(nonce)),
                _ => Err(Malformed::Damaged),
            },
            _ => Err(Malformed::Newer),
        }
    }
}

impl<'a> Numbered<'a> {
    fn decode(mut rest: Unread<'a>) -> Result<Self, Malformed> {
        let (epoch, number, previous, chain) = (rest.u128()?, rest.u64()?, rest.u128()?, rest.u128()?);
        let sender = rest.u64()?;
        let body = match (rest.array()?, rest.0) {
            ([KEYS], mut left) => {
                while !left.is_empty() {
                    let mut rest = Unread(left);
                    NamedKey::decode(&mut rest)?;
                    left = rest.0;
                }
                Body::Keys(Keys(rest))
            }
            ([CLEAR], name) => Body::Clear(str::from_utf8(name).map_err(|_| Malformed::Damaged)?),
            ([FLOOR], []) => Body::Floor,
            ([FLOOR], _) => return Err(Malformed::Damaged),
            // A later version names what this one cannot: all that is older than the message may be meant.
            _ => Body::Floor,
        };
        Ok(Self { mark: Mark { epoch, number, chain }, previous, sender, body })
    }
}

impl<'a> NamedKey<'a> {
    fn decode(rest: &mut Unread<'a>) -> Result<Self, Malformed> {
        let mut text = || {
            let length = rest.u16()?;
            str::from_utf8(rest.slice(length.into())?).map_err(|_| Malformed::Damaged)
        };
        Ok(Self { name: text()?, text: text()? })
    }

    fn encode(self, into: &mut Vec<u8>) {
        for text in [self.name, self.text] {
            let length = u16::try_from(text.len()).expect("a name and a text are shorter than 64 KiB");
            into.extend_from_slice(&length.to_be_bytes());
            into.extend_from_slice(text.as_bytes());
        }
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = NamedKey<'a>;

    fn next(&mut self) -> Option<NamedKey<'a>> {
        NamedKey::decode(&mut self.0).ok()
    }
}

/// The tail of a message that these keys are no longer valid; of a floor, if it would be longer than 64 KiB.
pub(crate) fn keys_tail<'k>(sender: u64, keys: impl IntoIterator<Item = NamedKey<'k>>) -> Vec<u8> {
    let mut tail = tail(sender, KEYS);
    for key in keys {
        if PREFIX + tail.len() + 4 + key.name.len() + key.text.len() > LONGEST {
            return floor_tail(sender);
        }
        key.encode(&mut tail);
    }
    tail
}

/// The tail of a message that the cache `name`, or with `*` every cache of the namespace, was cleared.
pub(crate) fn clear_tail(sender: u64, name: &str) -> Vec<u8> {
    let mut tail = tail(sender, CLEAR);
    tail.extend_from_slice(name.as_bytes());
    tail
}

/// The tail of a message that nothing older is valid.
pub(crate) fn floor_tail(sender: u64) -> Vec<u8> {
    tail(sender, FLOOR)
}

fn tail(sender: u64, kind: u8) -> Vec<u8> {
    let mut tail = sender.to_be_bytes().to_vec();
    tail.push(kind);
    tail
}

/// The message that the lease `nonce` of a key ended. A `record` of up to 1 KiB travels with it, so that who waits need
/// not ask for it.
pub(crate) fn wake(nonce: Nonce, key: NamedKey<'_>, record: Option<&[u8]>) -> Vec<u8> {
    let mut message = vec![WAKE];
    message.extend_from_slice(&nonce.to_be_bytes());
    key.encode(&mut message);
    message.extend_from_slice(record.filter(|record| record.len() <= SMALL).unwrap_or_default());
    message
}

/// The message by which a node finds out whether it hears what it says.
pub(crate) fn probe(nonce: Nonce) -> Vec<u8> {
    let mut message = vec![PROBE];
    message.extend_from_slice(&nonce.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the scripts put before a tail.
    fn numbered(mark: Mark, previous: Nonce, tail: &[u8]) -> Vec<u8> {
        let mut message = vec![NUMBERED];
        message.extend_from_slice(&mark.epoch.to_be_bytes());
        message.extend_from_slice(&mark.number.to_be_bytes());
        message.extend_from_slice(&previous.to_be_bytes());
        message.extend_from_slice(&mark.chain.to_be_bytes());
        assert_eq!(message.len(), PREFIX);
        message.extend_from_slice(tail);
        message
    }

    const MARK: Mark = Mark { epoch: 1, number: 2, chain: 3 };

    fn named<'k>(keys: &'k [(String, String)]) -> impl Iterator<Item = NamedKey<'k>> {
        keys.iter().map(|(name, text)| NamedKey { name, text })
    }

    fn body(tail: &[u8]) -> Result<(u64, Option<Vec<(String, String)>>), Malformed> {
        match Message::decode(&numbered(MARK, 0, tail))? {
            Message::Numbered(Numbered { sender, body: Body::Keys(keys), .. }) => {
                Ok((sender, Some(keys.map(|key| (key.name.to_owned(), key.text.to_owned())).collect())))
            }
            Message::Numbered(Numbered { sender, body: Body::Floor, .. }) => Ok((sender, None)),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn keys_are_decoded(
            epoch: Nonce, number: u64, chain: Nonce, previous: Nonce, sender: u64,
            keys in prop::collection::vec((".{0,40}", ".{0,80}"), 0..20),
        ) {
            let mark = Mark { epoch, number, chain };
            let message = numbered(mark, previous, &keys_tail(sender, named(&keys)));
            let Ok(Message::Numbered(decoded)) = Message::decode(&message) else { panic!("not decoded") };
            prop_assert_eq!((decoded.mark, decoded.previous, decoded.sender), (mark, previous, sender));
            prop_assert_eq!(body(&keys_tail(sender, named(&keys))), Ok((sender, Some(keys))));
        }

        #[test]
        fn clears_are_decoded(sender: u64, name: String) {
            let message = numbered(MARK, 0, &clear_tail(sender, &name));
            let body = Body::Clear(&name);
            let expected = Numbered { mark: MARK, previous: 0, sender, body };
            prop_assert_eq!(Message::decode(&message), Ok(Message::Numbered(expected)));
        }

        #[test]
        fn wakes_are_decoded(nonce: Nonce, name in ".{0,40}", text in ".{0,80}", record: Vec<u8>) {
            let key = NamedKey { name: &name, text: &text };
            let message = wake(nonce, key, Some(&record));
            let expected = Wake { nonce, key, record: (!record.is_empty()).then_some(&record[..]) };
            prop_assert_eq!(Message::decode(&message), Ok(Message::Wake(expected)));
        }
    }

    #[test]
    fn floors_and_probes_are_decoded() {
        assert_eq!(body(&floor_tail(7)), Ok((7, None)));
        assert_eq!(Message::decode(&probe(8)), Ok(Message::Probe(8)));
    }

    #[test]
    fn what_a_later_version_names_is_a_floor() {
        assert_eq!(body(b"\0\0\0\0\0\0\0\x07\x09what"), Ok((7, None)));
        assert_eq!(Message::decode(&[9, 9, 9]), Err(Malformed::Newer));
    }

    #[test]
    fn a_message_that_would_be_too_long_is_a_floor() {
        let keys: Vec<_> = (0..1_000).map(|i| ("shop::user".to_owned(), format!("{i:0>40}"))).collect();
        assert_eq!(body(&keys_tail(7, named(&keys))), Ok((7, Some(keys.clone()))), "1 000 keys are not too many");
        let keys: Vec<_> = (0..1_000).map(|i| ("shop::user".to_owned(), format!("{i:0>80}"))).collect();
        assert_eq!(body(&keys_tail(7, named(&keys))), Ok((7, None)));
        // To the byte.
        let exact = LONGEST - PREFIX - 9 - 4 - 1;
        for (length, fits) in [(exact, true), (exact + 1, false), (usize::from(u16::MAX) + 1, false)] {
            let key = [("n".to_owned(), "t".repeat(length))];
            assert_eq!(body(&keys_tail(7, named(&key))).unwrap().1.is_some(), fits, "{length}");
        }
    }

    #[test]
    fn a_record_travels_with_a_wake_if_it_is_small() {
        let key = NamedKey { name: "name", text: "7" };
        for (length, travels) in [(0, false), (SMALL, true), (SMALL + 1, false)] {
            let record = vec![1; length];
            let message = wake(1, key, Some(&record));
            let Ok(Message::Wake(wake)) = Message::decode(&message) else { panic!("not decoded") };
            assert_eq!(wake.record, travels.then_some(&record[..]));
        }
    }

    #[test]
    fn a_message_cut_anywhere_is_an_error_or_names_less() {
        let keys = [("one".to_owned(), "1".to_owned()), ("two".to_owned(), "2".to_owned())];
        let one_key = PREFIX + 9 + 8;
        let whole = numbered(MARK, 0, &keys_tail(7, named(&keys)));
        for length in 0..whole.len() {
            let decoded = Message::decode(&whole[..length]);
            let between = length == PREFIX + 9 || length == one_key;
            assert_eq!(decoded.is_ok(), between, "{length}: {decoded:?}");
        }
        for message in [numbered(MARK, 0, &floor_tail(7)), probe(1)] {
            for length in 0..message.len() {
                assert_eq!(Message::decode(&message[..length]), Err(Malformed::Truncated));
            }
        }
        let message = wake(1, NamedKey { name: "name", text: "7" }, None);
        for length in 0..message.len() {
            assert_eq!(Message::decode(&message[..length]), Err(Malformed::Truncated));
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_damaged() {
        let mut message = numbered(MARK, 0, &clear_tail(7, "name"));
        *message.last_mut().unwrap() = 0xff;
        assert_eq!(Message::decode(&message), Err(Malformed::Damaged));
        let mut message = wake(1, NamedKey { name: "name", text: "7" }, None);
        *message.last_mut().unwrap() = 0xff;
        assert_eq!(Message::decode(&message), Err(Malformed::Damaged));
    }
}
