//! A cache's remote tier: how a miss in memory goes on.

mod claim;
mod lead;
mod many;
mod member;
mod packed;
mod slide;
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::builder::{Consistency, RemoteOptions};
use crate::bus::NamedKey;
use crate::fleet::Fleet;
use crate::key::text::{KeyText, Place};
use crate::time::{Seldom, nanos};
pub(super) use many::for_each_key;

/// The remote tier of one cache.
pub(crate) struct Remote<K, V> {
    pub(in crate::cache) fleet: Arc<Fleet>,
    options: RemoteOptions<K, V>,
    vouching: Vouching,
    name: Arc<str>,
    place: Place,
    /// The last renewals of what slides, each in a place by its version, so that not each of many hits asks for one.
    renewals: [AtomicU64; RENEWALS],
    /// Whether it may be said again that a record cannot be used, and that a value was not sent: of some types that is so of each.
    complains_of_records: Seldom,
    complains_of_values: Seldom,
}

/// Who vouches for what memory has.
#[derive(Clone, Copy)]
enum Vouching {
    /// Nobody: it keeps nothing, or nothing that may be served.
    Nobody,
    /// The fence.
    Fence,
    /// The fleet, if it was in step at most so long ago.
    Fleet(u64),
    /// Nobody has to.
    Needless,
}

const RENEWALS: usize = 64;

/// Marks an entry that was loaded while nobody could vouch for memory: it is served only while that is so.
const DEGRADED: u32 = 1 << 31;

impl<K, V> Remote<K, V> {
    pub(in crate::cache) fn new(fleet: Arc<Fleet>, options: RemoteOptions<K, V>, name: &str, version: u32) -> Self {
        let place = Place::new(&fleet.namespace, name, version);
        let vouching = match (options.hybrid, options.consistency, options.max_disconnected) {
            (false, ..) | (_, Consistency::Strict, _) => Vouching::Nobody,
            (_, Consistency::Bounded, _) => Vouching::Fence,
            (_, Consistency::Eventual, Some(longest)) => Vouching::Fleet(nanos(longest)),
            (_, Consistency::Eventual, None) => Vouching::Needless,
        };
        let renewals = [const { AtomicU64::new(0) }; RENEWALS];
        let (complains_of_records, complains_of_values) = Default::default();
        let name = Arc::from(name);
        Self { name, place, fleet, options, vouching, renewals, complains_of_records, complains_of_values }
    }

    /// Of which generation an entry has to be to be served at `now`, as the coarse clock shows it; `current` is that of
    /// the cache (R6).
    #[inline]
    pub(super) fn served(&self, current: u32, now: u64) -> u32 {
        if self.vouches(now) { current & !DEGRADED } else { current | DEGRADED }
    }

    #[inline]
    fn vouches(&self, now: u64) -> bool {
        match self.vouching {
            Vouching::Fence => self.fleet.vouches(now),
            Vouching::Nobody => false,
            Vouching::Fleet(longest) => {
                let last_word = self.fleet.synced_at();
                last_word != 0 && now < last_word.saturating_add(longest)
            }
            Vouching::Needless => true,
        }
    }

    /// Flights that began before this may not be joined (R8); that is never 0, as which those of a batch count.
    pub(super) fn horizon(&self) -> u64 {
        // What is under way may have been read before an evict that was acknowledged elsewhere.
        if self.is_strict() { u64::MAX } else { self.fleet.horizon().max(1) }
    }

    /// Whether memory has a part in it at all.
    fn keeps(&self) -> bool {
        !matches!(self.vouching, Vouching::Nobody)
    }

    /// Whether it matters how much longer what is found there lives.
    fn asks_remaining(&self) -> bool {
        self.keeps() || self.options.slides
    }

    /// Whether a load in another process is waited for. Where none in this one may be joined, the lease is all that keeps
    /// callers from loading side by side.
    fn waits(&self) -> bool {
        self.options.fleet || self.is_strict()
    }

    fn is_strict(&self) -> bool {
        self.options.consistency == Consistency::Strict
    }

    /// Around an operation on the remote tier.
    fn span(&self, operation: &'static str) -> tracing::Span {
        tracing::debug_span!("remote", cache = %self.name, operation)
    }

    fn named<'t>(&'t self, text: &'t KeyText) -> NamedKey<'t> {
        NamedKey { name: &self.name, text: text.as_str() }
    }

    /// The text of a key; `None` if it has none of its own, or its `Serialize` panics.
    fn spell(&self, key: &K) -> Option<KeyText> {
        self.options.spelling.spell(key)
    }
}
