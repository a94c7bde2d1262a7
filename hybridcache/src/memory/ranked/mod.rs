//! The store of every policy but the default.

mod adaptive;
mod clock;
mod frequency;
mod hits;
mod line;
mod lists;
mod order;
mod pages;
mod shard;

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use parking_lot::RwLock;
use quick_cache::Equivalent;

use super::filed::Filed;
use super::store::part_of;
use super::{Policy, Why};
use crate::key::Prehashed;
use adaptive::{Adaptive, Chooser};
use clock::Clock;
use frequency::Frequency;
use line::Line;
use order::Order;
use shard::Shard;

/// Shards, each with an order of its own. A hit takes its shard's read lock, which neighbours share, and whatever it
/// changes in the order is an atomic or a note for later; a write takes the write lock for a few hundred nanoseconds.
/// Hence no hit waits for another, and parking_lot sees to it that no stream of one kind starves the other.
#[derive(Debug)]
pub(super) struct Ranked<K, V> {
    shards: Box<[Locked<K, V>]>,
}

/// On cache lines of its own, and of the neighbour that is prefetched with it: a lock is written to by each hit.
#[derive(Debug)]
#[repr(align(128))]
struct Locked<K, V>(RwLock<Shard<K, V>>);

impl<K, V> Ranked<K, V> {
    /// A store of so many shards, a power of two, each of which holds an even part of the weight.
    pub(super) fn new(policy: Policy, max_weight: u64, shards: u64) -> Self {
        let order = orders(policy, shards as usize);
        let shard = || Locked(RwLock::new(Shard::new(order(), max_weight / shards)));
        Self { shards: (0..shards).map(|_| shard()).collect() }
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard<K, V>> {
        &self.shards[part_of(hash, self.shards.len())].0
    }

    // Within a hit of the default store this would have its place on the stack of that, too.
    #[inline(never)]
    pub(super) fn get(&self, probe: &(impl Hash + Equivalent<Filed<K>>)) -> Option<Option<V>>
    where
        V: Clone,
    {
        let hash = Prehashed.hash_one(probe);
        let lock = self.shard(hash);
        let shard = lock.read();
        let slot = shard.find(hash, probe)?;
        let value = shard.value(slot).clone();
        let unsettled = shard.order.hit(slot, hash);
        drop(shard);
        if unsettled && let Some(mut shard) = lock.try_write() {
            shard.order.settle();
        }
        Some(value)
    }

    pub(super) fn peek(&self, probe: &(impl Hash + Equivalent<Filed<K>>)) -> Option<Option<V>>
    where
        V: Clone,
    {
        let hash = Prehashed.hash_one(probe);
        let shard = self.shard(hash).read();
        shard.find(hash, probe).map(|slot| shard.value(slot).clone())
    }

    pub(super) fn take(&self, probe: &(impl Hash + Equivalent<Filed<K>>)) -> Option<(Filed<K>, Option<V>)> {
        let hash = Prehashed.hash_one(probe);
        self.shard(hash).write().take(hash, probe)
    }

    /// Puts an entry in, in the place of what is there, and calls `leave` with whatever leaves for it, under the lock.
    pub(super) fn insert(&self, filed: Filed<K>, value: Option<V>, leave: impl FnMut(Filed<K>, Option<V>, Why))
    where
        K: Eq,
    {
        self.shard(filed.key.hash).write().insert(filed, value, leave);
    }

    /// All entries, which leave as they are asked for, each under a lock of its own.
    pub(super) fn drain(&self) -> impl Iterator<Item = (Filed<K>, Option<V>)> {
        self.shards.iter().flat_map(|Locked(shard)| std::iter::from_fn(|| shard.write().pop()))
    }

    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|Locked(shard)| shard.read().len()).sum()
    }

    pub(super) fn weight(&self) -> u64 {
        self.shards.iter().map(|Locked(shard)| shard.read().weight()).sum()
    }

    #[cfg(test)]
    fn validate(&self) {
        self.shards.iter().for_each(|Locked(shard)| shard.read().validate());
    }
}

/// Makes the order of each of so many shards.
fn orders(policy: Policy, shards: usize) -> impl Fn() -> Box<dyn Order> {
    let chooser = Arc::<Chooser>::default();
    move || match policy {
        Policy::Lru => Box::new(Line::lru()),
        Policy::Mru => Box::new(Line::mru()),
        Policy::Fifo => Box::new(Line::fifo()),
        Policy::Lfu => Box::<Frequency>::default(),
        Policy::Clock => Box::<Clock>::default(),
        Policy::Adaptive => Box::new(Adaptive::new(Arc::clone(&chooser), shards)),
        Policy::S3Fifo => unreachable!("quick_cache is its store"),
    }
}

#[cfg(test)]
mod tests;
