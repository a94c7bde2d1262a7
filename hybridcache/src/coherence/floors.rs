//! Clears: a cache is cleared by a number, and what was born before it is dead (R14).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::deferred::EVERY_CACHE;
use super::node::{Mark, Nonce};

/// When a record is born, on the clock of the meta partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Born {
    pub(crate) epoch: Nonce,
    pub(crate) clock: u64,
}

impl Born {
    pub(crate) fn at(meta: Mark) -> Self {
        Self { epoch: meta.epoch, clock: meta.number }
    }
}

/// What becomes of a record that was read from a remote tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    /// No clear that is known of concerns it.
    Valid,
    /// Its cache was cleared since it was born.
    Dead,
    /// What is known of clears is too old to say: load the floors first.
    Unknown,
}

/// The number of the last clear of each cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Floors {
    /// Where the meta partition stood when they were read.
    mark: Mark,
    asked: u64,
    table: BTreeMap<Arc<str>, u64>,
}

impl Floors {
    pub(crate) fn new(asked: u64, mark: Mark, table: BTreeMap<Arc<str>, u64>) -> Self {
        Self { mark, asked, table }
    }

    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// Every clear that was acknowledged before this instant is in them.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    /// A clear was heard of. `None` if it is of another epoch.
    pub(crate) fn raised(mut self, name: &Arc<str>, at: Mark) -> Option<Self> {
        let floor = self.table.entry(Arc::clone(name)).or_insert(0);
        *floor = (*floor).max(at.number);
        Some(self).filter(|floors| floors.mark.epoch == at.epoch)
    }

    pub(crate) fn judge(&self, born: Born, cache: &str) -> Verdict {
        let floor = |name: &str| self.table.get(name).copied().unwrap_or(0);
        let alive = born.epoch == Born::at(self.mark).epoch && born.clock >= floor(cache).max(floor(EVERY_CACHE));
        if alive { Verdict::Valid } else { Verdict::Dead }
    }

    #[cfg(test)]
    pub(crate) fn age(&mut self, by: u64, oldest: u64) {
        self.asked = self.asked.saturating_sub(by).max(oldest);
    }
}
