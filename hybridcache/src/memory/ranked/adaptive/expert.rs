//! What an adaptive store can behave as.

/// What an adaptive store can behave as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expert {
    /// Segmented LRU that remembers what it gave up. What is asked for twice, even soon after it was given up, is
    /// protected. The best start, because it is seldom far from the best.
    Twice,
    /// LRU, for streams where nothing but the time of the last request counts.
    Recency,
    /// 2Q: only what comes back after it was given up, but not too late, gets more than a glance. For skewed popularity,
    /// scans and loops: of a loop that is much too long it keeps a part, as MRU does, instead of nothing.
    Return,
    /// Only what is asked for again while it is in the window gets more than a glance, and what left is forgotten. For
    /// loops that are a little too long, where everything comes back soon after it left and nothing can stay if all of
    /// it may: whatever is in the main part stays there, as with MRU.
    Stay,
    /// W-TinyLFU: of two that could stay the one that was asked for more often. For popularity that lasts.
    Frequency,
}

impl Expert {
    pub(super) const ALL: [Self; 5] = [Self::Twice, Self::Recency, Self::Return, Self::Stay, Self::Frequency];

    /// How many of `len` entries may be in the window.
    pub(super) fn window(self, len: usize) -> usize {
        match self {
            Self::Twice | Self::Return | Self::Stay => len.div_ceil(100),
            Self::Recency => len,
            Self::Frequency => (len * 3).div_ceil(10),
        }
    }

    /// How many of `len` entries may be protected.
    pub(super) fn protected(self, len: usize) -> usize {
        let main = len - self.window(len).min(len);
        match self {
            Self::Twice | Self::Frequency => main * 4 / 5,
            Self::Return | Self::Stay => main,
            Self::Recency => 0,
        }
    }

    /// For how many evictions an entry that left is remembered, where there are `len` of them.
    pub(super) fn memory(self, len: usize) -> usize {
        match self {
            Self::Twice | Self::Frequency => len,
            Self::Return => len / 2,
            Self::Recency | Self::Stay => 0,
        }
    }
}
