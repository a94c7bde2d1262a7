//! `policy = adaptive`: near the best of several policies on any stream, without being told which that is.
//!
//! One store can behave as any of four [`Expert`]s, because all of them rule over the same three lists ([`Segments`]).
//! Which of them it follows is tried out in miniature beside it ([`Chooser`]): each expert has a small cache of its own
//! without values, which sees a sample of the keys and has the capacity that goes with it. The expert that would have hit
//! most lately is the one to follow.
//!
//! Where it comes from: miniature simulations are Waldspurger, Saemundsson, Ahmad and Park, *Cache Modeling and
//! Optimization using Miniature Simulations* (ATC 2017); sampling by the hash of the key is their SHARDS (FAST 2015).
//! The experts are LRU; segmented LRU (Karedla, Love and Wherry, 1994) with the memory of what left that ARC has;
//! 2Q (Johnson and Shasha, VLDB 1994); and W-TinyLFU (Einziger, Friedman and Manes, 2017).

mod chooser;
mod ghosts;
mod segments;
mod sketch;

pub(crate) use chooser::Chooser;
pub(crate) use segments::Segments;

/// What an adaptive store can behave as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expert {
    /// Segmented LRU that remembers what it gave up. What is asked for twice, even soon after it was given up, is
    /// protected. The best start, because it is seldom far from the best.
    Twice,
    /// LRU, for streams where nothing but the time of the last request counts.
    Recency,
    /// 2Q: only what comes back after it was given up, but not too late, gets more than a glance. For skewed popularity,
    /// scans and loops: of a loop that is too long it keeps a part, as MRU does, instead of nothing.
    Return,
    /// W-TinyLFU: of two that could stay the one that was asked for more often. For popularity that lasts.
    Frequency,
}

impl Expert {
    pub(crate) const ALL: [Self; 4] = [Self::Twice, Self::Recency, Self::Return, Self::Frequency];

    /// How many of `len` entries may be in the window.
    fn window(self, len: usize) -> usize {
        match self {
            Self::Twice | Self::Return => len.div_ceil(100),
            Self::Recency => len,
            Self::Frequency => (len * 3).div_ceil(10),
        }
    }

    /// How many of `len` entries may be protected.
    fn protected(self, len: usize) -> usize {
        let main = len - self.window(len).min(len);
        match self {
            Self::Twice | Self::Frequency => main * 4 / 5,
            Self::Return => main,
            Self::Recency => 0,
        }
    }

    /// For how many evictions an entry that left is remembered, where there are `len` of them.
    fn memory(self, len: usize) -> usize {
        match self {
            Self::Twice | Self::Frequency => len,
            Self::Return => len / 2,
            Self::Recency => 0,
        }
    }
}

/// Mixes a hash anew, so that the bits which chose the shard or the sample say nothing here. The high half is the good
/// one.
fn spread(hash: u64, seed: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(seed)
}

/// A number below `n`, from a hash that is spread.
fn below(n: usize, spread: u64) -> usize {
    (((spread >> 32) * n as u64) >> 32) as usize
}
