//! The memory tier: a store holds the entries and decides which to give up, this adds lifetimes, weights and reasons.

mod filed;
mod policy;
mod ranked;
mod store;
mod wheel;

use std::cell::Cell;
use std::hash::Hash;
use std::sync::Arc;

use crate::entry::{Entry, Kept, Side};
use crate::key::{Key, Stored};
use crate::observe::{Event, Meter, RemovalReason};
use crate::rt;
use crate::time::NEVER;
use filed::{Any, Closer, Expired, Filed, Heir, Live};
pub use policy::Policy;
use store::Store;
use wheel::{NOWHERE, Place, Wheel};

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

    /// A hit: found, of this generation, and alive at `now`; `None` within is a `None` that was kept. Errors that were
    /// kept are not found. Clones the value under the shard's read lock and allocates nothing.
    #[inline]
    pub(crate) fn hit<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Option<Option<V>> {
        self.store.get(&Live::<_, true> { any: Any { hash, key }, generation, now })
    }

    /// Like [`hit`](Self::hit), but a look only: renews nothing and makes nothing hotter.
    pub(crate) fn peek<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Option<Option<V>> {
        self.store.peek(&Live::<_, false> { any: Any { hash, key }, generation, now })
    }

    /// A hit of whatever is kept, errors included.
    pub(crate) fn look<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Look<V> {
        let any = Any { hash, key };
        let probe = Closer { any, generation, now, side: Cell::default(), dead: Cell::new(false) };
        let Some(value) = self.store.get(&probe) else {
            return if probe.dead.get() { Look::Dead } else { Look::Absent };
        };
        let side = probe.side.take();
        let kept = match (value, side.as_ref().and_then(|side| side.failure.as_ref())) {
            (Some(value), _) => Kept::Value(value),
            (None, Some(failure)) => Kept::Failed(failure.clone()),
            (None, None) => Kept::Nothing,
        };
        Look::Hit(kept, side)
    }

    /// Whether an entry of this weight is ever kept.
    pub(crate) fn admits(&self, weight: u64) -> bool {
        weight <= self.max_entry_weight && weight <= u64::from(u32::MAX)
    }

    /// Puts an entry in, in the place of what is there, and whatever has to leave for it into `removed`. `absent` says
    /// that nothing is there, neither dead nor alive. To be called under the lock of the key's stripe, which is what
    /// others who put something in hold as well.
    pub(crate) fn insert(&self, key: Stored<K>, entry: Entry<V>, absent: bool, removed: &mut Removed<K, V>) {
        let inherited = if absent || !self.wheel.is_used() { None } else { self.inherit(&key) };
        let dies_at = entry.terms.dies_at();
        let place = match inherited {
            // It is found there when the old deadline has passed, and then filed under its own.
            Some((place, old)) if old <= dies_at && dies_at != NEVER => place,
            Some((place, _)) if dies_at != NEVER => {
                self.wheel.refile(key.hash, place, dies_at);
                place
            }
            Some((place, _)) => {
                self.wheel.forget(key.hash, place);
                NOWHERE
            }
            None if dies_at != NEVER => self.wheel.add(key.hash, dies_at),
            None => NOWHERE,
        };
        let (filed, value) = Filed::new(key, entry, place);
        self.store.insert(filed, value, removed);
    }

    fn inherit(&self, key: &Stored<K>) -> Option<(Place, u64)> {
        let probe = Heir { any: Any { hash: key.hash, key: &&key.key }, inherited: Cell::default() };
        self.store.contains(&probe);
        probe.inherited.get()
    }

    /// Removes what is there, dead or alive.
    pub(crate) fn displace(&self, key: &Stored<K>, removed: &mut Removed<K, V>) {
        if let Some((filed, value)) = self.store.take(&Any { hash: key.hash, key: &&key.key }) {
            removed.push(filed, value, Why::Displaced);
        }
    }

    /// Removes an entry because a caller wants it gone.
    pub(crate) fn evict<Q: Key<Owned = K>>(&self, hash: u64, key: &Q) {
        if let Some((filed, value)) = self.store.take(&Any { hash, key }) {
            self.settle(&filed, RemovalReason::Explicit);
            self.tell(&filed, &value, RemovalReason::Explicit);
        }
    }

    /// Removes up to `most` entries, of whatever key; returns how many it found. Few leave under one lock, so that
    /// readers are not kept waiting.
    pub(crate) fn drain(&self, most: usize) -> usize {
        self.store.drain(most, |filed, value| self.release_guarded(filed, value, RemovalReason::Explicit))
    }

    /// Frees what has expired.
    pub(crate) fn sweep(&self, now: u64) {
        self.wheel.sweep(now, |hash, place| {
            let probe = Expired { hash, place, now, lives_until: Cell::new(None) };
            if let Some((filed, value)) = self.store.take(&probe) {
                self.release_guarded(filed, value, RemovalReason::Expired);
            }
            probe.lives_until.get()
        });
    }

    /// Counts what left, tells the listener, and drops it. Call it where no lock is held: the listener and `Drop` are
    /// the user's. `present` is the generation and the time, which tell why something was replaced.
    pub(crate) fn release(&self, removed: Removed<K, V>, present: impl Fn() -> (u32, u64)) {
        let Removed { first, rest, .. } = removed;
        let Some(first) = first else { return };
        let settle = |left: &Left<K, V>| {
            let reason = left.reason(&present);
            self.settle(&left.filed, reason);
            reason
        };
        if rest.is_empty() {
            let reason = settle(&first);
            return self.tell(&first.filed, &first.value, reason);
        }
        // All of them are settled before any of them is dropped: a `Drop` may panic.
        let left: Vec<_> = std::iter::once(first).chain(rest).map(|left| (settle(&left), left)).collect();
        for (reason, left) in &left {
            self.tell(&left.filed, &left.value, *reason);
        }
    }

    /// For one of many: a `Drop` that panics must not keep the others from their end.
    fn release_guarded(&self, filed: Filed<K>, value: Option<V>, reason: RemovalReason) {
        self.settle(&filed, reason);
        self.tell(&filed, &value, reason);
        rt::guarded("drop of a value", || drop((filed, value)));
    }

    /// What the cache itself has to do when an entry left.
    fn settle(&self, filed: &Filed<K>, reason: RemovalReason) {
        self.meter.count(match reason {
            RemovalReason::Expired => Event::Expired,
            RemovalReason::Capacity => Event::Capacity,
            RemovalReason::Explicit => Event::Explicit,
            RemovalReason::Replaced => Event::Replaced,
        });
        let place = filed.life.take_place();
        if place != NOWHERE {
            self.wheel.forget(filed.key.hash, place);
        }
    }

    fn tell(&self, filed: &Filed<K>, value: &Option<V>, reason: RemovalReason) {
        if let (Some(listener), Some(value)) = (&self.listener, value) {
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

/// What a closer look came to.
pub(crate) enum Look<V> {
    Hit(Kept<V>, Option<Arc<Side>>),
    /// There is an entry, and it may not be served.
    Dead,
    Absent,
}

/// Entries that have left the store and are not dropped yet.
#[derive(Debug)]
pub(crate) struct Removed<K, V> {
    // Most inserts push one out, if any: no allocation for that.
    first: Option<Left<K, V>>,
    rest: Vec<Left<K, V>>,
    /// The entry that leaves next makes room: the store says so before each of those, and of one that is replaced it
    /// says nothing.
    makes_room: bool,
}

#[derive(Debug)]
struct Left<K, V> {
    filed: Filed<K>,
    value: Option<V>,
    why: Why,
}

#[derive(Clone, Copy, Debug)]
enum Why {
    /// Another has its place.
    Displaced,
    Capacity,
}

impl<K, V> Left<K, V> {
    fn reason(&self, present: impl Fn() -> (u32, u64)) -> RemovalReason {
        if let Why::Capacity = self.why {
            return RemovalReason::Capacity;
        }
        let (generation, now) = present();
        if self.filed.life.generation() != generation {
            RemovalReason::Explicit
        } else if self.filed.life.is_live(generation, now) {
            RemovalReason::Replaced
        } else {
            RemovalReason::Expired
        }
    }
}

impl<K, V> Default for Removed<K, V> {
    fn default() -> Self {
        Self { first: None, rest: Vec::new(), makes_room: false }
    }
}

impl<K, V> Removed<K, V> {
    fn push(&mut self, filed: Filed<K>, value: Option<V>, why: Why) {
        let left = Left { filed, value, why };
        if self.first.is_none() {
            self.first = Some(left);
        } else {
            self.rest.push(left);
        }
    }
}

#[cfg(test)]
mod tests;
