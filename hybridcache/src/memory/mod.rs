//! The memory tier: a store holds the entries of a shard and decides which to give up, this adds lifetimes, weights and reasons.

mod filed;
mod policy;
mod ranked;
mod store;
mod wheel;

use std::cell::Cell;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::entry::{Entry, Kept, Side};
use crate::key::{Key, Stored};
use crate::observe::{Meter, RemovalReason};
use crate::rt;
use crate::time::NEVER;
use filed::{Any, Closer, Expired, Filed, Going, Live};
pub use policy::{Policy, UnknownPolicy};
use store::Store;
use wheel::{NOWHERE, Wheel};

pub(crate) type Listener<K, V> = Arc<dyn Fn(&K, &V, RemovalReason) + Send + Sync>;

/// So many entries expire under one lock: it is held for a few microseconds.
const EXPIRED_AT_ONCE: usize = 32;

/// How much a memory tier holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries(u64),
    Weight { max: u64, max_entry: u64 },
}

/// A part of a memory tier, which one lock guards; the lock is its owner's.
#[repr(C)]
pub(crate) struct Shard<K, V> {
    wheel: Wheel,
    store: Store<K, V>,
}

impl<K, V> Shard<K, V>
where
    K: Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The shards of a memory tier, a power of two, each with an even part of the bound.
    pub(crate) fn all(policy: Policy, bound: Bound, sweep_interval: u64) -> Vec<Self> {
        // Buckets half as wide: so what ends is freed within two intervals.
        let wheel = || Wheel::new(sweep_interval / 2);
        Store::all(policy, bound).into_iter().map(|store| Self { store, wheel: wheel() }).collect()
    }

    /// A hit: found, of this generation, and alive at `now`; `None` within is a `None` that was kept. Errors that were
    /// kept are not found. Clones the value and allocates nothing. Sets `unsettled` if [`settle`](Self::settle) is to be called
    /// soon.
    #[inline]
    pub(crate) fn hit<Q: Key<Owned = K>, S>(
        &self,
        hash: u64,
        key: &Q,
        generation: u32,
        now: u64,
        unsettled: &mut bool,
    ) -> Option<Option<V>> {
        self.store.hit::<_, S>(Any { hash, key: *key }, generation, now, unsettled).cloned()
    }

    /// Like [`hit`](Self::hit), but a look only: renews nothing and makes nothing hotter.
    pub(crate) fn peek<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Option<Option<V>> {
        let probe = Live::<_, false> { any: Any { hash, key: *key }, generation, now, site: PhantomData };
        self.store.peek(hash, &probe).cloned()
    }

    /// A hit of whatever is kept, errors included, with what there is beside the key.
    pub(crate) fn look<Q: Key<Owned = K>>(
        &self,
        hash: u64,
        key: &Q,
        generation: u32,
        now: u64,
        unsettled: &mut bool,
    ) -> Option<(Kept<V>, Option<Arc<Side>>)> {
        let probe = Closer { any: Any { hash, key: *key }, generation, now, side: Cell::default() };
        let value = self.store.get(hash, &probe, unsettled)?;
        let side = probe.side.take();
        let kept = match (value, side.as_ref().and_then(|side| side.failure())) {
            (Some(value), _) => Kept::Value(value.clone()),
            (None, Some(failure)) => Kept::Failed(failure.clone()),
            (None, None) => Kept::Nothing,
        };
        Some((kept, side))
    }

    /// Whether hits are noted, so that they may have to be settled.
    #[inline]
    pub(crate) fn notes_hits(&self) -> bool {
        matches!(self.store, Store::Ranked(_))
    }

    /// Takes hits into account that were only noted.
    pub(crate) fn settle(&mut self) {
        self.store.settle();
    }

    /// Puts an entry in, in the place of what is there, and whatever has to leave for it into `removed`.
    #[inline]
    pub(crate) fn insert(&mut self, key: Stored<K>, entry: Entry<V>, removed: &mut Removed<K, V>) {
        let dies_at = entry.terms.dies_at();
        let place = if dies_at == NEVER { NOWHERE } else { self.wheel.reserve(key.hash) };
        let (filed, value) = Filed::new(key, entry, place);
        self.store.insert(filed, value, removed);
        if place != NOWHERE {
            if let Some(left) = &mut removed.first
                && let Some(filed) = left.filed.life.filed()
                && self.wheel.succeed(place, dies_at, filed)
            {
                left.filed.life.take_place();
            } else {
                self.wheel.file(place, dies_at);
            }
        }
        self.give_back(removed);
    }

    /// Takes the places back of those that have left.
    #[inline(always)]
    fn give_back(&mut self, removed: &mut Removed<K, V>) {
        if let Some(first) = &mut removed.first {
            self.wheel.forget(first.filed.life.take_place());
            if let Some(rest) = &mut removed.rest {
                self.give_back_all(rest);
            }
        }
    }

    #[inline(never)]
    fn give_back_all(&mut self, rest: &mut [Left<K, V>]) {
        rest.iter_mut().for_each(|left| self.wheel.forget(left.filed.life.take_place()));
    }

    /// Removes what is there, dead or alive: another might have had its place.
    pub(crate) fn displace(&mut self, key: &Stored<K>, removed: &mut Removed<K, V>)
    where
        K: Clone + Hash,
    {
        self.remove(key.hash, &&key.key, Why::Displaced).into_iter().for_each(|left| removed.add(left));
    }

    /// Removes an entry because a caller wants it gone.
    #[inline]
    pub(crate) fn evict<Q: Key<Owned = K>>(&mut self, hash: u64, key: &Q) -> Option<Left<K, V>> {
        self.remove(hash, key, Why::Known(RemovalReason::Explicit))
    }

    #[inline]
    fn remove<Q: Key<Owned = K>>(&mut self, hash: u64, key: &Q, why: Why) -> Option<Left<K, V>> {
        let probe = Going { any: Any { hash, key: *key }, place: Cell::new(NOWHERE) };
        let (mut filed, value) = self.store.take(hash, &probe)?;
        // Not by what the store hands out: that was moved, and a read of it would wait until it has arrived.
        self.wheel.forget(probe.place.get());
        filed.life.take_place();
        Some(Left { filed, value, why })
    }

    /// Removes some of those who are dead by now; returns whether there may be more.
    pub(crate) fn expire(&mut self, now: u64, removed: &mut Removed<K, V>) -> bool {
        for _ in 0..EXPIRED_AT_ONCE {
            let Some((hash, place)) = self.wheel.due(now) else { return false };
            let probe = Expired { hash, place, now, lives_until: Cell::new(None) };
            if let Some((filed, value)) = self.store.take(hash, &probe) {
                self.wheel.forget(place);
                removed.push(filed, value, Why::Known(RemovalReason::Expired));
            } else if let Some(dies_at) = probe.lives_until.get() {
                self.wheel.postpone(place, dies_at.max(now));
            } else {
                debug_assert!(false, "whoever is filed is in the store");
                self.wheel.forget(place);
            }
        }
        true
    }

    /// Gives memory back that few entries have left of many. What this returns is to be dropped where no lock is held.
    #[must_use]
    pub(crate) fn shrink(&mut self, removed: &mut Removed<K, V>) -> Option<impl Sized + use<K, V>> {
        self.store.is_sparse().then(|| {
            let mut sparse = self.store.take_all();
            sparse.drain().for_each(|(filed, value)| self.store.insert(filed, value, removed));
            self.give_back(removed);
            sparse
        })
    }

    /// Empties the shard at once, whatever it holds.
    pub(crate) fn take_all(&mut self) -> Taken<K, V> {
        let wheel = self.wheel.anew();
        Taken { store: self.store.take_all(), _wheel: std::mem::replace(&mut self.wheel, wheel) }
    }

    pub(crate) fn len(&self) -> u64 {
        self.store.len()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.store.weight()
    }
}

/// All that a shard held.
pub(crate) struct Taken<K, V> {
    store: Store<K, V>,
    _wheel: Wheel,
}

impl<K: Eq + Send, V: Send> Taken<K, V> {
    /// The entries, which leave because a caller wants them gone.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Removed<K, V>> + Send {
        self.store.drain().map(|(filed, value)| {
            let mut removed = Removed::default();
            removed.push(filed, value, Why::Known(RemovalReason::Explicit));
            removed
        })
    }
}

/// What the shards of a memory tier have in common: how heavy an entry may be, and who is told of those that leave.
pub(crate) struct Memory<K, V> {
    listener: Option<Listener<K, V>>,
    max_entry_weight: u64,
    meter: Arc<Meter>,
}

impl<K, V> Memory<K, V> {
    pub(crate) fn new(bound: Bound, listener: Option<Listener<K, V>>, meter: Arc<Meter>) -> Self {
        let max_entry_weight = match bound {
            Bound::Entries(_) => 1,
            Bound::Weight { max_entry, .. } => max_entry,
        };
        Self { listener, max_entry_weight, meter }
    }

    /// Whether an entry of this weight is ever kept.
    pub(crate) fn admits(&self, weight: u64) -> bool {
        weight <= self.max_entry_weight && weight <= u64::from(u32::MAX)
    }

    /// Counts what left, and tells the listener. Call it where no lock is held, and drop it there: the listener and `Drop` are the
    /// user's. `present` is the generation and the time, which tell why something was replaced.
    #[inline]
    pub(crate) fn release(&self, removed: &Removed<K, V>, present: impl Fn() -> (u32, u64)) {
        // By reference: they were put there a moment ago, and to move them on would have to wait for that.
        let Removed { first: Some(first), rest, .. } = removed else { return };
        let Some(rest) = rest else { return self.release_one(first, present) };
        let reason = self.count(first, &present);
        // All of them are counted before any of them is dropped: a `Drop` may panic.
        let reasons: Vec<RemovalReason> = rest.iter().map(|left| self.count(left, &present)).collect();
        self.tell(first, reason);
        rest.iter().zip(reasons).for_each(|(left, reason)| self.tell(left, reason));
    }

    #[inline(always)]
    fn count(&self, left: &Left<K, V>, present: impl Fn() -> (u32, u64)) -> RemovalReason {
        let reason = left.reason(present);
        self.meter.tally().left(reason);
        reason
    }

    /// [`release`](Self::release) of one.
    #[inline]
    pub(crate) fn release_one(&self, left: &Left<K, V>, present: impl Fn() -> (u32, u64)) {
        let reason = self.count(left, present);
        self.tell(left, reason);
    }

    fn tell(&self, left: &Left<K, V>, reason: RemovalReason) {
        if let (Some(listener), Some(value)) = (&self.listener, &left.value) {
            rt::guarded("eviction listener", || listener(&left.filed.key.key, value, reason));
        }
    }
}

/// Entries that have left the store and are not dropped yet.
#[derive(Debug)]
pub(crate) struct Removed<K, V> {
    // Most inserts push one out, if any: no allocation for that, and nothing else to be dropped.
    first: Option<Left<K, V>>,
    #[expect(clippy::box_collection, reason = "whether there are any is one word")]
    rest: Option<Box<Vec<Left<K, V>>>>,
    /// The entry that leaves next makes room: the store says so before each of those, and of one that is replaced it
    /// says nothing.
    makes_room: bool,
}

/// An entry that has left the store and is not dropped yet.
#[derive(Debug)]
pub(crate) struct Left<K, V> {
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
    #[inline]
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
        Self { first: None, rest: None, makes_room: false }
    }
}

impl<K, V> Removed<K, V> {
    #[cfg(feature = "redis")]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Each on its own.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> {
        let left = self.first.into_iter().chain(self.rest.into_iter().flat_map(|rest| *rest));
        left.map(|left| Self { first: Some(left), ..Self::default() })
    }

    // A `Left` is made where it stays: to move one that was made a moment ago is to wait for that, which was a sixteenth of a miss.
    #[inline(always)]
    fn push(&mut self, filed: Filed<K>, value: Option<V>, why: Why) {
        if self.first.is_none() {
            self.first = Some(Left { filed, value, why });
        } else {
            self.push_more(Left { filed, value, why });
        }
    }

    #[cold]
    #[inline(never)]
    fn push_more(&mut self, left: Left<K, V>) {
        self.rest.get_or_insert_default().push(left);
    }

    pub(crate) fn add(&mut self, Left { filed, value, why }: Left<K, V>) {
        self.push(filed, value, why);
    }
}

#[cfg(test)]
mod tests;
