//! The memory tier: quick_cache holds the entries and decides which to give up, this adds lifetimes, weights and
//! reasons.

mod filed;
mod wheel;

use std::cell::Cell;
use std::hash::Hash;
use std::sync::Arc;

use quick_cache::sync::Cache as Store;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};

use crate::entry::{Entry, Kept, Side};
use crate::key::{Key, Prehashed, Stored};
use crate::observe::{Event, Meter, RemovalReason};
use crate::rt;
use crate::time::NEVER;
use filed::{Any, Closer, Expired, Filed, Heir, Live};
use wheel::{NOWHERE, Place, Wheel};

/// The most that `capacity` or `max_weight` count for: beyond, sums of weights could overflow.
const MOST: u64 = u64::MAX / 4;

/// A shard holds at least so many entries, or there are fewer shards: in small ones chance would leave too much unused.
const LEAST_IN_A_SHARD: u64 = 32;

pub(crate) type Listener<K, V> = Arc<dyn Fn(&K, &V, RemovalReason) + Send + Sync>;

/// How much a memory tier holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries(u64),
    Weight { max: u64, max_entry: u64 },
}

pub(crate) struct Memory<K, V> {
    store: Store<Filed<K>, Option<V>, ByWeight, Prehashed, Outgoing>,
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
    pub(crate) fn new(bound: Bound, sweep_interval: u64, listener: Option<Listener<K, V>>, meter: Arc<Meter>) -> Self {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        let (capacity, items, max_entry_weight) = match bound {
            Bound::Entries(entries) => (entries.min(MOST), entries, 1),
            Bound::Weight { max, max_entry } => (max.min(MOST), max.clamp(1, 10_000), max_entry),
        };
        let mut shards = (4 * cores as u64).next_power_of_two();
        // The store lets one entry fill 97 % of a shard: so few shards that the heaviest still fits.
        while shards > 1 && (items / shards < LEAST_IN_A_SHARD || capacity / shards / 10 * 9 < max_entry_weight) {
            shards /= 2;
        }
        let mut options = OptionsBuilder::new();
        if capacity / 10 * 9 < max_entry_weight {
            options.hot_allocation(1.0);
        }
        let options = options
            .shards(shards as usize)
            .estimated_items_capacity(usize::try_from(items.min(1 << 32)).unwrap_or(usize::MAX))
            // The store rounds up, shard by shard; a bound is not to be passed.
            .weight_capacity(capacity - capacity % shards)
            .build()
            .expect("both capacities are given");
        Self {
            store: Store::with_options(options, ByWeight, Prehashed, Outgoing),
            wheel: Wheel::new(sweep_interval),
            listener,
            max_entry_weight,
            meter,
        }
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
        self.store.insert_with_lifecycle(filed, value, removed);
    }

    fn inherit(&self, key: &Stored<K>) -> Option<(Place, u64)> {
        let probe = Heir { any: Any { hash: key.hash, key: &&key.key }, inherited: Cell::default() };
        self.store.contains_key(&probe);
        probe.inherited.get()
    }

    /// Removes what is there, dead or alive.
    pub(crate) fn displace(&self, key: &Stored<K>, removed: &mut Removed<K, V>) {
        if let Some((filed, value)) = self.take(&Any { hash: key.hash, key: &&key.key }) {
            removed.push(filed, value, Why::Displaced);
        }
    }

    /// Removes an entry because somebody wants it gone, and leaves it to the caller to release it.
    #[cfg(feature = "redis")]
    pub(crate) fn remove(&self, key: &Stored<K>, removed: &mut Removed<K, V>) {
        if let Some((filed, value)) = self.take(&Any { hash: key.hash, key: &&key.key }) {
            removed.push(filed, value, Why::Explicit);
        }
    }

    /// Removes an entry because a caller wants it gone.
    pub(crate) fn evict<Q: Key<Owned = K>>(&self, hash: u64, key: &Q) {
        if let Some((filed, value)) = self.take(&Any { hash, key }) {
            self.settle(&filed, RemovalReason::Explicit);
            self.tell(&filed, &value, RemovalReason::Explicit);
        }
    }

    /// Takes out the entry that the probe finds. The store's own `remove` would also forget that it gave up an entry of
    /// this hash lately, which is how a key that comes back is known to be worth keeping: ten points of hit ratio, on
    /// some streams.
    fn take(&self, probe: &(impl Hash + Equivalent<Filed<K>>)) -> Option<(Filed<K>, Option<V>)> {
        self.store.remove_if(probe, |_| true)
    }

    /// Removes up to `most` entries, of whatever key; returns how many it found. Each leaves under a lock of its own,
    /// so that readers are not kept waiting.
    pub(crate) fn drain(&self, most: usize) -> usize {
        let mut count = 0;
        for (filed, value) in self.store.drain().take(most) {
            count += 1;
            self.release_guarded(filed, value, RemovalReason::Explicit);
        }
        count
    }

    /// Frees what has expired.
    pub(crate) fn sweep(&self, now: u64) {
        self.wheel.sweep(now, |hash, place| {
            let probe = Expired { hash, place, now, lives_until: Cell::new(None) };
            if let Some((filed, value)) = self.take(&probe) {
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
        self.store.len() as u64
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
    #[cfg(feature = "redis")]
    Explicit,
}

impl<K, V> Left<K, V> {
    fn reason(&self, present: impl Fn() -> (u32, u64)) -> RemovalReason {
        match self.why {
            Why::Capacity => return RemovalReason::Capacity,
            #[cfg(feature = "redis")]
            Why::Explicit => return RemovalReason::Explicit,
            Why::Displaced => {}
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

#[derive(Clone)]
struct ByWeight;

impl<K, V> Weighter<Filed<K>, Option<V>> for ByWeight {
    #[inline]
    fn weight(&self, filed: &Filed<K>, _value: &Option<V>) -> u64 {
        u64::from(filed.life.weight())
    }
}

#[derive(Clone)]
struct Outgoing;

impl<K, V> Lifecycle<Filed<K>, Option<V>> for Outgoing {
    type RequestState = Removed<K, V>;

    #[inline]
    fn before_evict(&self, removed: &mut Removed<K, V>, _filed: &Filed<K>, _value: &mut Option<V>) {
        removed.makes_room = true;
    }

    #[inline]
    fn on_evict(&self, removed: &mut Removed<K, V>, filed: Filed<K>, value: Option<V>) {
        let why = if std::mem::take(&mut removed.makes_room) { Why::Capacity } else { Why::Displaced };
        removed.push(filed, value, why);
    }
}

#[cfg(test)]
mod tests;
