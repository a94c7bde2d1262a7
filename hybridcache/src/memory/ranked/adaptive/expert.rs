//! What an adaptive store can behave as.

/// What an adaptive store can behave as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expert {
    /// Segmented LRU that remembers what it gave up. What is asked for twice, even soon after it was given up, is
    /// protected. The best start, because it is seldom far from the best.
    Twice,
    /// LRU, for streams where nothing but the time of the last request counts.
    Recency,
    /// 2Q, with the main part of S3-FIFO: only what comes back after it was given up, but not too late, gets more than a
    /// glance, and as many rounds more as it was asked for. For popularity that lasts, scans and loops: of a loop that is
    /// much too long it keeps a part, as MRU does, instead of nothing.
    Return,
    /// W-TinyLFU with a large window, and the memory that ARC has: of two that could stay the one that was asked for more
    /// often. For popularity that lasts for a while.
    Frequency,
    /// W-TinyLFU as it was published: hardly a window, and no memory but of how often. For popularity that lasts however
    /// seldom a key is asked for, and for loops that are a little too long: whatever is in the main part stays there until
    /// another was asked for more often.
    Popularity,
}

impl Expert {
    pub(super) const ALL: [Self; 5] = [Self::Twice, Self::Recency, Self::Return, Self::Frequency, Self::Popularity];

    /// How many of `len` entries may be in the window.
    pub(super) fn window(self, len: usize) -> usize {
        match self {
            Self::Twice | Self::Return | Self::Popularity => len.div_ceil(100),
            Self::Recency => len,
            Self::Frequency => (len * 3).div_ceil(10),
        }
    }

    /// How many of `len` entries may be protected.
    pub(super) fn protected(self, len: usize) -> usize {
        let main = len - self.window(len).min(len);
        match self {
            Self::Twice | Self::Frequency | Self::Popularity => main * 4 / 5,
            Self::Return => main,
            Self::Recency => 0,
        }
    }

    /// Whether a protected entry that was asked for goes round once more for each time, instead of being moved when it is.
    pub(super) fn gives_chances(self) -> bool {
        self == Self::Return
    }

    /// For how many evictions an entry that left is remembered, where there are `len` of them.
    pub(super) fn memory(self, len: usize) -> usize {
        match self {
            Self::Twice | Self::Frequency => len,
            Self::Return => len * 3 / 4,
            Self::Recency | Self::Popularity => 0,
        }
    }
}
