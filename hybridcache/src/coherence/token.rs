//! What a writer hands on so that somebody else, on another node, reads what it wrote.

use std::fmt;
use std::str::FromStr;

use super::node::{Nonce, Partition};

/// Names an invalidation of each partition, or of one, and all before it: a node that has seen them serves nothing older from its
/// memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsistencyToken {
    /// In the order of [`Partition`]. One at least is there in a token that is given to anybody.
    seen: [Option<Seen>; 2],
}

/// Up to which number of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) epoch: Nonce,
    pub(crate) number: u64,
}

const PARTITIONS: [(&str, Partition); 2] = [("m", Partition::Meta), ("k", Partition::Keys)];

impl ConsistencyToken {
    pub(crate) const NOTHING: Self = Self { seen: [None; 2] };

    /// Names this one too. Of two that are given in one epoch the older may come last.
    pub(crate) fn note(&mut self, partition: Partition, new: Seen) {
        let known = &mut self.seen[partition as usize];
        if known.is_none_or(|known| known.epoch != new.epoch || known.number < new.number) {
            *known = Some(new);
        }
    }

    /// What it names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (Partition, Seen)> {
        PARTITIONS.into_iter().filter_map(|(_, at)| Some((at, self.seen[at as usize]?)))
    }

    /// Only those for which this holds; `None` if there is none.
    pub(crate) fn retain(mut self, holds: impl Fn(Partition, Seen) -> bool) -> Option<Self> {
        for (_, at) in PARTITIONS {
            self.seen[at as usize].take_if(|seen| !holds(at, *seen));
        }
        self.seen.iter().any(Option::is_some).then_some(self)
    }
}

/// As text, for a header or a cookie: 111 characters at most, of letters, digits and `-`.
impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (name, at) in PARTITIONS {
            if let Some(Seen { epoch, number }) = self.seen[at as usize] {
                write!(f, "{between}{name}-{epoch:032x}-{number}")?;
                between = "-";
            }
        }
        Ok(())
    }
}

impl FromStr for ConsistencyToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut token = Self::NOTHING;
        let parts: Vec<&str> = text.splitn(7, '-').collect();
        for part in parts.chunks(3) {
            let &[partition, epoch, number] = part else { return Err(InvalidToken) };
            let (_, at) = PARTITIONS.into_iter().find(|(name, _)| *name == partition).ok_or(InvalidToken)?;
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if epoch.len() != 32 || !digits(epoch) || !digits(number) {
                return Err(InvalidToken);
            }
            let epoch = Nonce::from_str_radix(epoch, 16).map_err(|_| InvalidToken)?;
            let number = number.parse().map_err(|_| InvalidToken)?;
            if token.seen[at as usize].replace(Seen { epoch, number }).is_some() {
                return Err(InvalidToken);
            }
        }
        Ok(token)
    }
}

/// The text given for a [`ConsistencyToken`] is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a consistency token")]
pub struct InvalidToken;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_from_its_text() {
        let some = [(0, 0), (Nonce::MAX, u64::MAX), (7, 1)].map(|(epoch, number)| Some(Seen { epoch, number }));
        for meta in [&some[..], &[None]].concat() {
            for keys in [&some[..], &[None]].concat() {
                let token = ConsistencyToken { seen: [meta, keys] };
                let text = token.to_string();
                assert!(text.len() <= 111, "{text}");
                let read = if meta.is_none() && keys.is_none() { Err(InvalidToken) } else { Ok(token) };
                assert_eq!(text.parse(), read);
            }
        }
    }

    #[test]
    fn what_comes_late_takes_no_place_of_what_is_newer() {
        let mut token = ConsistencyToken::NOTHING;
        let mut note = |partition, epoch, number| {
            token.note(partition, Seen { epoch, number });
            token.to_string()
        };
        let keys = |epoch: u8, number: u8| format!("k-{epoch:032x}-{number}");
        assert_eq!(note(Partition::Keys, 7, 5), keys(7, 5));
        let meta = note(Partition::Meta, 8, 1);
        let late = note(Partition::Keys, 7, 4);
        assert_eq!((late, meta.ends_with(&keys(7, 5))), (meta, true), "the clear in between makes no difference");
        assert!(note(Partition::Keys, 9, 1).ends_with(&keys(9, 1)), "another epoch counts anew");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "k", "k-", "x-0-0", "k-00-1", "k-+0000000000000000000000000000000-1", "k--1", "m-é-1"] {
            assert_eq!(text.parse::<ConsistencyToken>(), Err(InvalidToken), "{text:?}");
        }
        let good = format!("k-{:032x}-9", 1);
        for text in [format!("k-{:032x}-99999999999999999999", 1), format!("{good}-"), format!("{good}-{good}")] {
            assert_eq!(text.parse::<ConsistencyToken>(), Err(InvalidToken), "{text:?}");
        }
        assert!(good.parse::<ConsistencyToken>().is_ok());
    }
}
