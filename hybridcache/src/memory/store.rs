//! Where the entries are: in quick_cache for the default policy, in a store of our own for the others.

use std::hash::Hash;
use std::marker::PhantomData;

use quick_cache::sync::Cache as Quick;
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

/// A shard of a store of our own holds no more entries, or there are more shards: whoever makes its index grow holds its
/// lock for as long as that takes, which for so many is a fifth of a millisecond.
const MOST_IN_A_SHARD: u64 = 16_384;

/// And there are no more shards than that for it: each takes a kilobyte, though nothing may ever be in it.
const MOST_SHARDS: u64 = 256;

/// What the memory tier asks of a store. Everything is asked by probes that are equal to the keys they look for: a
/// lookup judges the entry where it finds it.
pub(super) enum Store<K, V> {
    Quick(Quick<Filed<K>, Option<V>, ByWeight, Prehashed, Outgoing>),
    Ranked(Ranked<K, V>),
}

impl<K: Eq, V: Clone> Store<K, V> {
    pub(super) fn new(policy: Policy, bound: Bound) -> Self {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        let (capacity, items, max_entry_weight) = match bound {
            Bound::Entries(entries) => (entries.min(MOST), entries, 1),
            Bound::Weight { max, max_entry } => (max.min(MOST), max.clamp(1, 10_000), max_entry),
        };
        let mut shards = (4 * cores as u64).next_power_of_two();
        if policy != Policy::S3Fifo {
            shards = shards.max((items / MOST_IN_A_SHARD).min(MOST_SHARDS).next_power_of_two());
        }
        // quick_cache lets one entry fill 97 % of a shard: so few shards that the heaviest still fits.
        while shards > 1 && (items / shards < LEAST_IN_A_SHARD || capacity / shards / 10 * 9 < max_entry_weight) {
            shards /= 2;
        }
        if policy != Policy::S3Fifo {
            return Self::Ranked(Ranked::new(policy, capacity, shards));
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
        Self::Quick(Quick::with_options(options, ByWeight, Prehashed, Outgoing))
    }

    pub(super) fn shards(&self) -> usize {
        match self {
            Self::Quick(quick) => quick.num_shards(),
            Self::Ranked(ranked) => ranked.shards(),
        }
    }

    /// A hit of what may be served: clones the value under the shard's read lock, and allocates nothing. For each `S` it is
    /// compiled anew where the default store is asked.
    #[inline]
    pub(super) fn hit<Q: Key<Owned = K>, S>(&self, any: Any<Q>, generation: u32, now: u64) -> Option<Option<V>> {
        match self {
            Self::Quick(quick) => quick.get(&Live::<_, true, S> { any, generation, now, site: PhantomData }),
            Self::Ranked(ranked) => ranked.get(&Live::<_, true> { any, generation, now, site: PhantomData }),
        }
    }

    /// A hit of what the probe finds.
    #[inline]
    pub(super) fn get(&self, probe: &(impl Hash + Equivalent<Filed<K>>)) -> Option<Option<V>> {
        match self {
            Self::Quick(quick) => quick.get(probe),
            Self::Ranked(ranked) => ranked.get(probe),
        }
    }

    /// A look that makes nothing hotter.
    pub(super) fn peek(&self, probe: &(impl Hash + Equivalent<Filed<K>>)) -> Option<Option<V>> {
        match self {
            Self::Quick(quick) => quick.peek(probe),
            Self::Ranked(ranked) => ranked.peek(probe),
        }
    }

    /// Takes out the entry that the probe finds. quick_cache's own `remove` would also forget that it gave up an entry
    /// of this hash lately, which is how a key that comes back is known to be worth keeping: ten points of hit ratio,
    /// on some streams.
    pub(super) fn take(&self, probe: &(impl Hash + Equivalent<Filed<K>>)) -> Option<(Filed<K>, Option<V>)> {
        match self {
            Self::Quick(quick) => quick.remove_if(probe, |_| true),
            Self::Ranked(ranked) => ranked.take(probe),
        }
    }

    /// Puts an entry in, in the place of what is there, and whatever has to leave for it into `removed`.
    pub(super) fn insert(&self, filed: Filed<K>, value: Option<V>, removed: &mut Removed<K, V>) {
        match self {
            Self::Quick(quick) => quick.insert_with_lifecycle(filed, value, removed),
            Self::Ranked(ranked) => {
                ranked.insert(filed, value, |filed, value, why| removed.push(filed, value, why));
            }
        }
    }

    /// All entries, which leave as they are asked for, each under a lock of its own.
    pub(super) fn drain(&self) -> Box<dyn Iterator<Item = (Filed<K>, Option<V>)> + '_> {
        match self {
            Self::Quick(quick) => Box::new(quick.drain()),
            Self::Ranked(ranked) => Box::new(ranked.drain()),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Quick(quick) => quick.len() as u64,
            Self::Ranked(ranked) => ranked.len() as u64,
        }
    }

    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Quick(quick) => quick.weight(),
            Self::Ranked(ranked) => ranked.weight(),
        }
    }
}

/// In which of so many parts, a power of two, a key with this hash is: the shards of a store, or the stripes of locks over it.
/// quick_cache chooses alike. By bits that choose no place within a shard.
#[inline]
pub(crate) fn part_of(hash: u64, parts: usize) -> usize {
    hash.rotate_right(usize::BITS / 2) as usize & (parts - 1)
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
