//! The memory tier: a store holds the entries and decides which to give up, this adds lifetimes, weights and reasons.

mod filed;
mod policy;
mod ranked;
mod store;
mod wheel;

use std::cell::Cell;
use std::hash::Hash;
use std::sync::Arc;

use crate::entry::{Entry, Kept, Movement};
use crate::key::{Key, Stored};
use crate::observe::{Meter, RemovalReason};
use crate::rt;
use crate::time::NEVER;
use filed::{Any, Expired, Filed, Live, Moved};
pub use policy::Policy;
use store::Store;
use wheel::Wheel;

pub(crate) type Listener<K, V> = Arc<dyn Fn(&K, &V, RemovalReason) + Send + Sync>;

/// How much a memory tier holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries(u64),
    Weight { max: u64, max_entry: u64 },
}

pub(crate) struct Memory<K, V> {
    store: Store<K, V>,
    wheel: Wheel,
    listener: Option<Listener<K, V>>,
    max_entry_weight: u64,
    meter: Arc<Meter>,
}

impl<K, V> Memory<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(
        policy: Policy,
        bound: Bound,
        sweep_interval: u64,
        listener: Option<Listener<K, V>>,
        meter: Arc<Meter>,
    ) -> Self {
        let max_entry_weight = match bound {
            Bound::Entries(_) => 1,
            Bound::Weight { max_entry, .. } => max_entry,
        };
        Self { store: Store::new(policy, bound), wheel: Wheel::new(sweep_interval), listener, max_entry_weight, meter }
    }

    /// A hit: found, of this generation, and alive at `now`. Clones the value under the shard's read lock and allocates
    /// nothing.
    #[inline]
    pub(crate) fn hit<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Option<Kept<V>> {
        self.store.get(&Live::<_, true> { hash, key, generation, now })
    }

    /// [`hit`](Self::hit), with what moves of the entry's lifetime, and its deadline.
    pub(crate) fn hit_moving<Q: Key<Owned = K>>(
        &self,
        hash: u64,
        key: &Q,
        generation: u32,
        now: u64,
    ) -> Option<(Kept<V>, Option<Movement>)> {
        let probe = Moved { live: Live { hash, key, generation, now }, moving: Cell::default() };
        let kept = self.store.get(&probe)?;
        Some((kept, probe.moving.take()))
    }

    /// Like [`hit`](Self::hit), but a look only: renews nothing and makes nothing hotter.
    pub(crate) fn peek<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Option<Kept<V>> {
        self.store.peek(&Live::<_, false> { hash, key, generation, now })
    }

    /// Whether an entry of this weight is ever kept.
    pub(crate) fn admits(&self, weight: u64) -> bool {
        weight <= self.max_entry_weight && weight <= u64::from(u32::MAX)
    }

    /// Puts an entry in, and what has to leave for it into `removed`. To be called under the lock of the key's stripe,
    /// after [`displace`](Self::displace) if there may be an entry: the store would drop a value that it replaces under
    /// its own lock, and keep the terms of the old one.
    pub(crate) fn insert(&self, key: Stored<K>, entry: Entry<V>, removed: &mut Removed<K, V>) {
        let Entry { kept, terms } = entry;
        let (hash, filed_at) = (key.hash, terms.file());
        self.store.insert(Filed { key, terms }, kept, removed);
        if filed_at != NEVER {
            self.wheel.add(hash, filed_at);
        }
    }

    /// Removes what is in the way of a new entry: replaced if it was alive, expired if it was not.
    pub(crate) fn displace(&self, key: &Stored<K>, generation: u32, now: u64, removed: &mut Removed<K, V>) {
        if let Some((filed, kept)) = self.store.take(&Any { hash: key.hash, key: &&key.key }) {
            let reason = if filed.terms.generation != generation {
                RemovalReason::Explicit
            } else if filed.terms.is_live(generation, now) {
                RemovalReason::Replaced
            } else {
                RemovalReason::Expired
            };
            removed.push(filed, kept, reason);
        }
    }

    /// Removes an entry because a caller wants it gone.
    pub(crate) fn evict<Q: Key<Owned = K>>(&self, hash: u64, key: &Q) {
        if let Some((filed, kept)) = self.store.take(&Any { hash, key }) {
            self.release_one(filed, kept, RemovalReason::Explicit);
        }
    }

    /// Removes up to `most` entries, of whatever key; returns how many it found. Few leave under one lock, so that
    /// readers are not kept waiting.
    pub(crate) fn drain(&self, most: usize) -> usize {
        self.store.drain(most, |filed, kept| self.release_guarded(filed, kept, RemovalReason::Explicit))
    }

    /// Frees what has expired.
    pub(crate) fn sweep(&self, now: u64) {
        self.wheel.sweep(now, |hash| {
            let probe = Expired { hash, now, refile: Cell::new(None) };
            // Several, where keys hash alike.
            while let Some((filed, kept)) = self.store.take(&probe) {
                self.release_guarded(filed, kept, RemovalReason::Expired);
            }
            probe.refile.get()
        });
    }

    /// Counts what left, tells the listener, and drops it. Call it where no lock is held: the listener and `Drop` are
    /// the user's.
    pub(crate) fn release(&self, removed: Removed<K, V>) {
        let Removed { first, rest } = removed;
        if let Some((filed, kept, reason)) = first {
            self.release_one(filed, kept, reason);
            for (filed, kept, reason) in rest {
                self.release_one(filed, kept, reason);
            }
        }
    }

    /// For one of many: a `Drop` that panics must not keep the others from their end.
    fn release_guarded(&self, filed: Filed<K>, kept: Kept<V>, reason: RemovalReason) {
        rt::guarded("drop of a value", || self.release_one(filed, kept, reason));
    }

    fn release_one(&self, filed: Filed<K>, kept: Kept<V>, reason: RemovalReason) {
        match reason {
            RemovalReason::Expired => self.meter.expired.add_one(),
            RemovalReason::Capacity => self.meter.capacity.add_one(),
            RemovalReason::Explicit => self.meter.explicit.add_one(),
            RemovalReason::Replaced => self.meter.replaced.add_one(),
        }
        let filed_at = filed.terms.filed_at();
        if filed_at != NEVER {
            self.wheel.forget(filed.key.hash, filed_at);
        }
        if let (Some(listener), Kept::Value(value)) = (&self.listener, &kept) {
            rt::guarded("eviction listener", || listener(&filed.key.key, value, reason));
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.store.len()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.store.weight()
    }

    #[cfg(test)]
    pub(crate) fn remembered_for_expiry(&self) -> usize {
        self.wheel.len()
    }
}

/// Entries that have left the store and are not dropped yet.
#[derive(Debug)]
pub(crate) struct Removed<K, V> {
    // Most inserts push one out, if any: no allocation for that.
    first: Option<(Filed<K>, Kept<V>, RemovalReason)>,
    rest: Vec<(Filed<K>, Kept<V>, RemovalReason)>,
}

impl<K, V> Default for Removed<K, V> {
    fn default() -> Self {
        Self { first: None, rest: Vec::new() }
    }
}

impl<K, V> Removed<K, V> {
    fn push(&mut self, filed: Filed<K>, kept: Kept<V>, reason: RemovalReason) {
        if self.first.is_none() {
            self.first = Some((filed, kept, reason));
        } else {
            self.rest.push((filed, kept, reason));
        }
    }
}

#[cfg(test)]
mod tests;
