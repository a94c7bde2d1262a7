//! What becomes of what was loaded or written: whether it is kept, on which terms, and what leaves for it.

use std::hash::Hash;

use super::Inner;
use super::context::Said;
use super::rules::Weigher;
use super::shards::Locked;
use crate::entry::{Entry, Movement, Terms, View};
use crate::key::Stored;
use crate::memory::{Removed, Shard};
use crate::observe::Event;
use crate::rt;
use crate::time::NEVER;

/// Puts an entry in the place of what is there; with none, what is there goes all the same.
#[inline]
pub(crate) fn replace<K, V>(
    memory: &mut Shard<K, V>,
    key: Stored<K>,
    entry: Option<Entry<V>>,
    removed: &mut Removed<K, V>,
) where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    match entry {
        Some(entry) => memory.insert(key, entry, removed),
        None => memory.displace(&key, removed),
    }
}

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// [`Memory::release`](crate::memory::Memory::release), where no lock is held.
    #[inline]
    pub(crate) fn release(&self, removed: &Removed<K, V>) {
        self.release_at(removed, || self.now());
    }

    /// [`release`](Self::release) of what was replaced at a time that is known.
    #[inline]
    pub(crate) fn release_at(&self, removed: &Removed<K, V>, now: impl Fn() -> u64) {
        self.memory.release(removed, || (self.generation(), now()));
    }

    /// Keeps the entry of a fresh load, or that it has none, unless its shard was written, or the cache cleared, since
    /// `ticket` and `generation` were read.
    pub(crate) fn fill_unless_written(&self, key: Stored<K>, entry: Option<Entry<V>>, ticket: u64, generation: u32) {
        let mut removed = Removed::default();
        let mut shard = self.shards.lock(key.hash);
        let Locked { table, memory } = &mut *shard;
        if !table.written_since(&key, ticket) && generation == self.generation() {
            // A flight that is under way may have read the same or less: it keeps its result to itself.
            table.detach(&key);
            replace(memory, key, entry, &mut removed);
        }
        drop(shard);
        self.release(&removed);
    }

    /// On which terms a result is to be kept, if it is.
    #[inline]
    pub(crate) fn terms(&self, key: &K, view: View<'_, V>, start: u64, generation: u32, said: Said) -> Option<Terms> {
        let (deadline, moving) = self.rules.lifetime(view, start, self.lag, said.lifetime);
        self.terms_until(key, view, deadline, moving, generation, said)
    }

    /// [`terms`](Self::terms), where it is known already how long.
    #[inline]
    pub(crate) fn terms_until(
        &self,
        key: &K,
        view: View<'_, V>,
        deadline: u64,
        moving: Option<Movement>,
        generation: u32,
        said: Said,
    ) -> Option<Terms> {
        if !self.wants(view, said) {
            return None;
        }
        let weight = self.weight(key, view)?;
        if deadline != NEVER || moving.is_some() {
            self.expect_expiry();
        }
        Some(Terms { deadline, moving: moving.map(Box::new), generation, weight })
    }

    /// Whether a result is to be kept.
    #[inline(always)]
    pub(crate) fn wants(&self, view: View<'_, V>, said: Said) -> bool {
        let wanted = match view {
            View::Value(value) => said.lifetime != Some(0) && self.rules.stores(value),
            View::Nothing => self.rules.cache_none,
            View::Failed => self.rules.cache_err,
        };
        wanted && !said.do_not_keep
    }

    /// What a result weighs; `None` if memory does not take it.
    #[inline(always)]
    pub(crate) fn weight(&self, key: &K, view: View<'_, V>) -> Option<u32> {
        match (view, &self.rules.weigher) {
            (View::Value(value), Some(weigher)) => self.weigh(weigher, key, value),
            _ => Some(1),
        }
    }

    /// A value whose weigher panics is not kept. A weight of 0 counts as 1, for the store never gives up what weighs nothing.
    #[inline(never)]
    fn weigh(&self, weigher: &Weigher<K, V>, key: &K, value: &V) -> Option<u32> {
        match rt::guarded("weigher", || weigher(key, value).max(1)) {
            Some(weight) if self.memory.admits(weight) => return Some(weight as u32),
            Some(weight) => {
                tracing::debug!(cache = %self.name, weight, "heavier than `max_entry_weight`: returned, not kept");
            }
            None => {}
        }
        self.meter.count(Event::Rejected);
        None
    }
}
