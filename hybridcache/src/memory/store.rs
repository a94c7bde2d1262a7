//! Where the entries of a shard are: in quick_cache for the default policy, in a store of our own for the others.

use std::hash::Hash;
use std::marker::PhantomData;

use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};

use super::filed::{Any, Filed, Live};
use super::ranked::Ranked;
use super::{Bound, Policy, Removed, Why};
use crate::key::{Key, Prehashed};
use crate::observe::RemovalReason;

/// The most that `capacity` or `max_weight` count for: beyond, sums of weights could overflow.
const MOST: u64 = u64::MAX / 4;

/// A shard holds at least so many entries, or there are fewer shards: in small ones chance would leave too much unused.
const LEAST_IN_A_SHARD: u64 = 32;

/// And has room for so many of the heaviest, or there are no more than four for each core. Two threads that write at once meet
/// half as often where there are twice as many.
const ROOMY: u64 = 256;

/// A shard holds no more entries, or there are more shards: whoever makes its tables grow holds its lock for as long as that
/// takes, which for so many is a fifth of a millisecond.
const MOST_IN_A_SHARD: u64 = 16_384;

/// And there are no more shards than that for it: each takes a kilobyte, though nothing may ever be in it.
const MOST_SHARDS: u64 = 256;

/// quick_cache remembers so many of those that it gave up lately, as a part of those that it holds; its own default. Each takes a slot.
const GHOSTS: f64 = 0.5;

/// A store of quick_cache begins with so many slots at most, and with more than half as many if it may become larger.
const FIRST: u64 = 32;

/// A store of quick_cache with at most so many entries may be built anew to give memory back: that is done under a lock.
const FEW: usize = 1_024;

/// Where entries are weighed chance makes so few of them more or fewer, though their weights are of one kind.
const CHANCE: u64 = 8;

/// Where entries are weighed the number that a store holds is an average of about so many times that it was asked.
const LATELY: u64 = 8;

/// What a shard asks of its store. Everything is asked by probes that are equal to the keys they look for: a lookup judges
/// the entry where it finds it.
pub(super) enum Store<K, V> {
    Quick(Quick<K, V>),
    Ranked(Ranked<K, V>),
}

type Slots<K, V> = Cache<Filed<K>, Option<V>, ByWeight, Prehashed, Outgoing>;

/// The part of quick_cache that has no lock of its own: the shard's lock guards more than the store.
pub(super) struct Quick<K, V> {
    cache: Slots<K, V>,
    options: OptionsBuilder,
    /// Where entries are weighed nobody knows how many they will be.
    weighed: bool,
    /// How many entries it is made for.
    full: u64,
    /// How many they will be when it is full, as far as it can be told.
    guess: u64,
    /// The last of so many insertions asks whether it is made for the right number.
    due: u64,
}

impl<K: Eq, V> Store<K, V> {
    /// The stores of all shards; their number is a power of two.
    pub(super) fn all(policy: Policy, bound: Bound) -> Vec<Self> {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        let (capacity, items, max_entry_weight) = match bound {
            Bound::Entries(entries) => (entries.min(MOST), entries, 1),
            Bound::Weight { max, max_entry } => (max.min(MOST), max.clamp(1, 10_000), max_entry),
        };
        let few = (4 * cores as u64).next_power_of_two();
        let mut shards = (8 * cores as u64).max(items / MOST_IN_A_SHARD).min(MOST_SHARDS).next_power_of_two();
        while shards > few && capacity / max_entry_weight / shards < ROOMY {
            shards /= 2;
        }
        // quick_cache lets one entry fill 97 % of a shard: so few shards that the heaviest still fits.
        while shards > 1 && (items / shards < LEAST_IN_A_SHARD || capacity / shards / 10 * 9 < max_entry_weight) {
            shards /= 2;
        }
        let each = capacity / shards;
        if policy != Policy::S3Fifo {
            return Ranked::all(policy, each, shards as usize).map(Self::Ranked).collect();
        }
        let mut options = OptionsBuilder::new();
        if capacity / 10 * 9 < max_entry_weight {
            options.hot_allocation(1.0);
        }
        options.ghost_allocation(GHOSTS).weight_capacity(each);
        let weighed = matches!(bound, Bound::Weight { .. });
        (0..shards).map(|_| Self::Quick(Quick::new(options.clone(), weighed, each))).collect()
    }

    /// A hit of what may be served. Sets `unsettled` if [`settle`](Self::settle) is to be called soon. For each `S` it is
    /// compiled anew where the default store is asked.
    #[inline]
    pub(super) fn hit<Q: Key<Owned = K>, S>(
        &self,
        any: Any<Q>,
        generation: u32,
        now: u64,
        unsettled: &mut bool,
    ) -> Option<&Option<V>> {
        match self {
            Self::Quick(quick) => quick.cache.get(&Live::<_, true, S> { any, generation, now, site: PhantomData }),
            Self::Ranked(ranked) => {
                ranked.hit(any.hash, &Live::<_, true> { any, generation, now, site: PhantomData }, unsettled)
            }
        }
    }

    /// A hit of whatever the probe, of this hash, finds.
    pub(super) fn get(
        &self,
        hash: u64,
        probe: &(impl Hash + Equivalent<Filed<K>>),
        unsettled: &mut bool,
    ) -> Option<&Option<V>> {
        match self {
            Self::Quick(quick) => quick.cache.get(probe),
            Self::Ranked(ranked) => ranked.hit(hash, probe, unsettled),
        }
    }

    /// A look that makes nothing hotter.
    pub(super) fn peek(&self, hash: u64, probe: &(impl Hash + Equivalent<Filed<K>>)) -> Option<&Option<V>> {
        match self {
            Self::Quick(quick) => quick.cache.peek(probe),
            Self::Ranked(ranked) => ranked.peek(hash, probe),
        }
    }

    /// Takes hits into account that were only noted.
    pub(super) fn settle(&mut self) {
        if let Self::Ranked(ranked) = self {
            ranked.settle();
        }
    }

    /// Takes out the entry that the probe finds. quick_cache's own `remove` would also forget that it gave up an entry
    /// of this hash lately, which is how a key that comes back is known to be worth keeping: ten points of hit ratio,
    /// on some streams.
    pub(super) fn take(
        &mut self,
        hash: u64,
        probe: &(impl Hash + Equivalent<Filed<K>>),
    ) -> Option<(Filed<K>, Option<V>)> {
        match self {
            Self::Quick(quick) => quick.cache.remove_if(probe, |_| true),
            Self::Ranked(ranked) => ranked.take(hash, probe),
        }
    }

    /// Puts an entry in, in the place of what is there, and whatever has to leave for it into `removed`.
    #[inline]
    pub(super) fn insert(&mut self, filed: Filed<K>, value: Option<V>, removed: &mut Removed<K, V>) {
        match self {
            Self::Quick(quick) => {
                quick.due -= 1;
                if quick.due == 0 {
                    quick.plan(filed.life.weight(), removed);
                }
                quick.cache.insert_with_lifecycle(filed, value, removed);
            }
            Self::Ranked(ranked) => Self::insert_ranked(ranked, filed, value, removed),
        }
    }

    // Within `insert` the default store would pay for its size.
    #[inline(never)]
    fn insert_ranked(ranked: &mut Ranked<K, V>, filed: Filed<K>, value: Option<V>, removed: &mut Removed<K, V>) {
        ranked.insert(filed, value, |filed, value, why| removed.push(filed, value, why));
    }

    /// Puts an empty store in the place of this one.
    pub(super) fn take_all(&mut self) -> Self {
        let empty = match self {
            Self::Quick(quick) => Self::Quick(Quick::new(quick.options.clone(), quick.weighed, quick.full)),
            Self::Ranked(ranked) => Self::Ranked(ranked.anew()),
        };
        std::mem::replace(self, empty)
    }

    pub(super) fn drain(&mut self) -> Box<dyn Iterator<Item = (Filed<K>, Option<V>)> + Send + '_>
    where
        K: Send,
        V: Send,
    {
        match self {
            Self::Quick(quick) => Box::new(quick.cache.drain()),
            Self::Ranked(ranked) => Box::new(ranked.drain()),
        }
    }

    /// Whether it holds memory for many more entries than it has, and few enough to move them. Those of the other policies give
    /// theirs back by themselves.
    pub(super) fn is_sparse(&self) -> bool {
        let Self::Quick(Quick { cache, .. }) = self else { return false };
        let room = cache.memory_used().entries / size_of::<(Filed<K>, Option<V>)>();
        cache.len() <= FEW && room > FEW && room / 8 > cache.len()
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Quick(quick) => quick.cache.len() as u64,
            Self::Ranked(ranked) => ranked.len() as u64,
        }
    }

    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Quick(quick) => quick.cache.weight(),
            Self::Ranked(ranked) => ranked.weight(),
        }
    }
}

impl<K: Eq, V> Quick<K, V> {
    fn new(options: OptionsBuilder, weighed: bool, full: u64) -> Self {
        Self { cache: made_for(full, &options), options, weighed, full, guess: full, due: 1 }
    }

    /// Before the first entry, of this weight, and where entries are weighed also later: makes it for as many as it will hold.
    #[cold]
    #[inline(never)]
    fn plan(&mut self, weight: u32, removed: &mut Removed<K, V>) {
        if !self.weighed {
            self.due = u64::MAX;
            return self.reserve(0);
        }
        let (capacity, held) = (self.cache.capacity(), self.cache.len() as u64);
        let (entries, weight) = if held == 0 { (1, weight.into()) } else { (held, self.cache.weight()) };
        let full = (u128::from(capacity) * u128::from(entries) / u128::from(weight.max(1))) as u64;
        // Asked again when it may hold twice as many, or others.
        self.due = held.max(FIRST);
        // While it fills it learns ever better how many there will be. A full one may never hold the same number for long, if
        // weights differ much; to be built anew costs it what it knows of its entries: only for what lasts.
        let is_full = held > 0 && weight > capacity / 4 * 3;
        self.guess = if is_full { self.guess - self.guess / LATELY + full / LATELY } else { full };
        if held == 0 {
            self.build(full, removed);
        } else if !(self.guess..=self.guess + self.guess / 3 + 2 * CHANCE).contains(&self.full) {
            self.build(self.guess + self.guess / 8 + CHANCE, removed);
        }
    }

    /// Makes it for so many, and moves the entries. That is done under the shard's lock, which is held for 70 ns an entry: a
    /// millisecond for 16,384. Larger ones were mostly made for the right number when they were small.
    fn build(&mut self, full: u64, removed: &mut Removed<K, V>) {
        self.full = full;
        let mut before = std::mem::replace(&mut self.cache, made_for(full, &self.options));
        self.reserve(before.len() as u64);
        // They fit as they did before: nobody leaves for it, and each keeps its place in the expiry wheel.
        before.drain().for_each(|(filed, value)| self.cache.insert_with_lifecycle(filed, value, removed));
    }

    /// Slots are in a vector, which doubles whenever it is full: it begins with such a part of all that they will be that it
    /// ends with hardly more. From anywhere else it could end with almost twice as many.
    fn reserve(&mut self, held: u64) {
        let slots = self.full + (self.full as f64 * GHOSTS) as u64 + 1;
        let mut first = slots;
        while first > FIRST.max(2 * held) {
            first = first.div_ceil(2);
        }
        // quick_cache reserves as many again for those it will have given up, unless it remembers fewer.
        self.cache.reserve(if first == slots { self.full } else { first.div_ceil(2) } as usize);
    }

    #[cfg(test)]
    pub(super) fn memory_used(&self) -> usize {
        self.cache.memory_used().total()
    }
}

/// An empty one for so many entries: as a part of them it remembers those that it gave up.
fn made_for<K: Eq, V>(full: u64, options: &OptionsBuilder) -> Slots<K, V> {
    let mut options = options.clone();
    options.estimated_items_capacity(usize::try_from(full).unwrap_or(usize::MAX));
    Cache::with_options(options.build().expect("both capacities are given"), ByWeight, Prehashed, Outgoing)
}

#[derive(Clone)]
pub(super) struct ByWeight;

impl<K, V> Weighter<Filed<K>, Option<V>> for ByWeight {
    #[inline]
    fn weight(&self, filed: &Filed<K>, _value: &Option<V>) -> u64 {
        u64::from(filed.life.weight())
    }
}

#[derive(Clone)]
pub(super) struct Outgoing;

impl<K, V> Lifecycle<Filed<K>, Option<V>> for Outgoing {
    type RequestState = Removed<K, V>;

    #[inline]
    fn before_evict(&self, removed: &mut Removed<K, V>, _filed: &Filed<K>, _value: &mut Option<V>) {
        removed.makes_room = true;
    }

    #[inline]
    fn on_evict(&self, removed: &mut Removed<K, V>, filed: Filed<K>, value: Option<V>) {
        let makes_room = std::mem::take(&mut removed.makes_room);
        let why = if makes_room { Why::Known(RemovalReason::Capacity) } else { Why::Displaced };
        removed.push(filed, value, why);
    }
}
