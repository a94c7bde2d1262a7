//! The memory tier: a store holds the entries and decides which to give up, this adds lifetimes, weights and reasons.

mod filed;
mod policy;
mod ranked;
mod store;
mod wheel;

use std::cell::Cell;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use quick_cache::Equivalent;

use crate::entry::{Entry, Kept, Side};
use crate::key::{Key, Stored};
use crate::observe::{Event, Meter, RemovalReason};
use crate::rt;
use crate::time::NEVER;
use filed::{Any, Closer, Expired, Filed, Live};
pub use policy::Policy;
use store::Store;
pub(crate) use store::part_of;
pub(crate) use wheel::{NOWHERE, Place, Wheel};

pub(crate) type Listener<K, V> = Arc<dyn Fn(&K, &V, RemovalReason) + Send + Sync>;

/// The most locks that writes of one cache share.
pub(crate) const STRIPES: usize = 64;

/// With fewer shards there are more stripes than shards.
const FEW_SHARDS: usize = 8;

/// How much a memory tier holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries(u64),
    Weight { max: u64, max_entry: u64 },
}

pub(crate) struct Memory<K, V> {
    store: Store<K, V>,
    listener: Option<Listener<K, V>>,
    max_entry_weight: u64,
    stripes: usize,
    meter: Arc<Meter>,
}

impl<K, V> Memory<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(policy: Policy, bound: Bound, listener: Option<Listener<K, V>>, meter: Arc<Meter>) -> Self {
        let max_entry_weight = match bound {
            Bound::Entries(_) => 1,
            Bound::Weight { max_entry, .. } => max_entry,
        };
        let store = Store::new(policy, bound);
        // A small cache has few shards, and no fewer callers for that: their flights do not have to meet.
        let stripes = if store.shards() < FEW_SHARDS { STRIPES } else { store.shards().min(STRIPES) };
        Self { store, listener, max_entry_weight, stripes, meter }
    }

    /// How many locks its writes share, a power of two: one for each shard of the store, or for some. The stripe of a key is chosen as
    /// its shard is ([`part_of`]), so what leaves for an entry is of its stripe; but not in a small cache, whose shards have
    /// several stripes each.
    pub(crate) fn stripes(&self) -> usize {
        self.stripes
    }

    /// A hit: found, of this generation, and alive at `now`; `None` within is a `None` that was kept. Errors that were
    /// kept are not found. Clones the value under the shard's read lock and allocates nothing.
    #[inline]
    pub(crate) fn hit<Q: Key<Owned = K>, S>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Option<Option<V>> {
        self.store.hit::<_, S>(Any { hash, key: *key }, generation, now)
    }

    /// Like [`hit`](Self::hit), but a look only: renews nothing and makes nothing hotter.
    pub(crate) fn peek<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Option<Option<V>> {
        self.store.peek(&Live::<_, false> { any: Any { hash, key: *key }, generation, now, site: PhantomData })
    }

    /// A hit of whatever is kept, errors included, with what there is beside the key.
    pub(crate) fn look<Q: Key<Owned = K>>(
        &self,
        hash: u64,
        key: &Q,
        generation: u32,
        now: u64,
    ) -> Option<(Kept<V>, Option<Arc<Side>>)> {
        let probe = Closer { any: Any { hash, key: *key }, generation, now, side: Cell::default() };
        let value = self.store.get(&probe)?;
        let side = probe.side.take();
        let kept = match (value, side.as_ref().and_then(|side| side.failure.as_ref())) {
            (Some(value), _) => Kept::Value(value),
            (None, Some(failure)) => Kept::Failed(failure.clone()),
            (None, None) => Kept::Nothing,
        };
        Some((kept, side))
    }

    /// Whether an entry of this weight is ever kept.
    pub(crate) fn admits(&self, weight: u64) -> bool {
        weight <= self.max_entry_weight && weight <= u64::from(u32::MAX)
    }

    /// Puts an entry in, in the place of what is there, and whatever has to leave for it into `removed`. To be called
    /// under the lock of the key's stripe, whose wheel this is.
    #[inline]
    pub(crate) fn insert(&self, key: Stored<K>, entry: Entry<V>, wheel: &mut Wheel, removed: &mut Removed<K, V>) {
        let dies_at = entry.terms.dies_at();
        let stripe = part_of(key.hash, self.stripes);
        let place = if dies_at == NEVER { NOWHERE } else { wheel.add(key.hash, dies_at) };
        let (filed, value) = Filed::new(key, entry, place);
        self.store.insert(filed, value, removed);
        for Left { filed, .. } in removed.first.iter().chain(&removed.rest) {
            // All of them are, but for those of a small cache: those give their places back when they are released.
            if part_of(filed.key.hash, self.stripes) == stripe {
                give_back(filed, wheel);
            }
        }
    }

    /// Removes what is there, dead or alive: another might have had its place. As [`insert`](Self::insert).
    pub(crate) fn displace(&self, key: &Stored<K>, wheel: &mut Wheel, removed: &mut Removed<K, V>) {
        self.remove(&Any { hash: key.hash, key: &key.key }, Why::Displaced, wheel, removed);
    }

    /// Removes an entry because a caller wants it gone. As [`insert`](Self::insert).
    pub(crate) fn evict<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, wheel: &mut Wheel, removed: &mut Removed<K, V>) {
        self.remove(&Any { hash, key: *key }, Why::Known(RemovalReason::Explicit), wheel, removed);
    }

    fn remove(
        &self,
        probe: &(impl Hash + Equivalent<Filed<K>>),
        why: Why,
        wheel: &mut Wheel,
        removed: &mut Removed<K, V>,
    ) {
        if let Some((filed, value)) = self.store.take(probe) {
            give_back(&filed, wheel);
            removed.push(filed, value, why);
        }
    }

    /// Up to `most` entries, of whatever key, that leave as they are asked for. Each does under a lock of its own, so that
    /// readers are not kept waiting.
    pub(crate) fn drain(&self, most: usize) -> impl Iterator<Item = Removed<K, V>> {
        let known = Why::Known(RemovalReason::Explicit);
        self.store.drain().take(most).map(move |(filed, value)| Removed::one(filed, value, known))
    }

    /// Removes the entry that a place was popped of, if it is dead by now.
    pub(crate) fn expire(&self, hash: u64, place: Place, now: u64) -> Expiry<K, V> {
        let probe = Expired { hash, place, now, lives_until: Cell::new(None) };
        match (self.store.take(&probe), probe.lives_until.get()) {
            (Some((filed, value)), _) => Expiry::Dead(Removed::one(filed, value, Why::Known(RemovalReason::Expired))),
            (None, Some(dies_at)) => Expiry::Lives(dies_at),
            (None, None) => Expiry::Gone,
        }
    }

    /// Counts what left, tells the listener, and drops it. Call it where no lock is held: the listener and `Drop` are
    /// the user's. `present` is the generation and the time, which tell why something was replaced; `forget` gives back
    /// the place of an entry, by its hash.
    #[inline]
    pub(crate) fn release(
        &self,
        removed: Removed<K, V>,
        present: impl Fn() -> (u32, u64),
        forget: impl Fn(u64, Place),
    ) {
        // Looked at where they are: they were put there a moment ago, and to move them on would have to wait for that.
        let Removed { first: Some(first), rest, .. } = &removed else { return };
        let reason = self.settle(first, &present, &forget);
        if rest.is_empty() {
            return self.tell(first, reason);
        }
        // All of them are settled before any of them is dropped: a `Drop` may panic.
        let reasons: Vec<RemovalReason> = rest.iter().map(|left| self.settle(left, &present, &forget)).collect();
        self.tell(first, reason);
        rest.iter().zip(reasons).for_each(|(left, reason)| self.tell(left, reason));
    }

    #[inline(always)]
    fn settle(
        &self,
        left: &Left<K, V>,
        present: impl Fn() -> (u32, u64),
        forget: impl Fn(u64, Place),
    ) -> RemovalReason {
        let reason = left.reason(present);
        self.meter.count(match reason {
            RemovalReason::Expired => Event::Expired,
            RemovalReason::Capacity => Event::Capacity,
            RemovalReason::Explicit => Event::Explicit,
            RemovalReason::Replaced => Event::Replaced,
        });
        let place = left.filed.life.take_place();
        if place != NOWHERE {
            forget(left.filed.key.hash, place);
        }
        reason
    }

    fn tell(&self, left: &Left<K, V>, reason: RemovalReason) {
        if let (Some(listener), Some(value)) = (&self.listener, &left.value) {
            rt::guarded("eviction listener", || listener(&left.filed.key.key, value, reason));
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.store.len()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.store.weight()
    }
}

/// An entry that leaves under the lock of its stripe gives its place back right there.
fn give_back<K>(filed: &Filed<K>, wheel: &mut Wheel) {
    let place = filed.life.take_place();
    if place != NOWHERE {
        wheel.forget(place);
    }
}

/// What became of an entry whose place was popped.
pub(crate) enum Expiry<K, V> {
    Dead(Removed<K, V>),
    Lives(u64),
    /// It has left, and its place with it.
    Gone,
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
    /// Another has its place, or should have had it.
    Displaced,
    Known(RemovalReason),
}

impl<K, V> Left<K, V> {
    fn reason(&self, present: impl Fn() -> (u32, u64)) -> RemovalReason {
        if let Why::Known(reason) = self.why {
            return reason;
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
    #[cfg(feature = "redis")]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    fn one(filed: Filed<K>, value: Option<V>, why: Why) -> Self {
        Self { first: Some(Left { filed, value, why }), ..Self::default() }
    }

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
