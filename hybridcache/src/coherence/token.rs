//! What a writer hands on so that somebody else, on another node, reads what it wrote.

use std::fmt;
use std::str::FromStr;

use super::node::{Nonce, Partition};

/// Names an invalidation: a node that has seen it serves nothing older from its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsistencyToken {
    pub(crate) partition: Partition,
    pub(crate) epoch: Nonce,
    pub(crate) number: u64,
}

/// As text, for a header or a cookie: 58 characters at most, of letters, digits and `-`.
impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partition = match self.partition {
            Partition::Meta => 'm',
            Partition::Keys => 'k',
        };
        write!(f, "{partition}-{:032x}-{}", self.epoch, self.number)
    }
}

impl FromStr for ConsistencyToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().ok_or(InvalidToken);
        let partition = match part()? {
            "m" => Partition::Meta,
            "k" => Partition::Keys,
            _ => return Err(InvalidToken),
        };
        let epoch = part()?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = part()?;
        if epoch.len() != 32 || !digits(epoch) || !digits(number) {
            return Err(InvalidToken);
        }
        let epoch = Nonce::from_str_radix(epoch, 16).map_err(|_| InvalidToken)?;
        let number = number.parse().map_err(|_| InvalidToken)?;
        Ok(Self { partition, epoch, number })
    }
}

/// What was given for a [`ConsistencyToken`] is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a consistency token")]
pub struct InvalidToken;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_from_its_text() {
        for partition in [Partition::Meta, Partition::Keys] {
            for (epoch, number) in [(0, 0), (Nonce::MAX, u64::MAX), (7, 1)] {
                let token = ConsistencyToken { partition, epoch, number };
                let text = token.to_string();
                assert!(text.len() <= 58, "{text}");
                assert_eq!(text.parse(), Ok(token));
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "k", "k-", "x-0-0", "k-00-1", "k-+0000000000000000000000000000000-1", "k--1", "m-é-1"] {
            assert_eq!(text.parse::<ConsistencyToken>(), Err(InvalidToken), "{text:?}");
        }
        let long = format!("k-{:032x}-99999999999999999999", 1);
        assert_eq!(long.parse::<ConsistencyToken>(), Err(InvalidToken));
    }
}
