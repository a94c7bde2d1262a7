//! The store of every policy but the default.

mod adaptive;
mod clock;
mod frequency;
mod hits;
mod line;
mod lists;
mod order;
mod pages;

use std::sync::Arc;

use hashbrown::HashTable;
use quick_cache::Equivalent;

use super::Policy;
use super::Why;
use super::filed::Filed;
use crate::observe::RemovalReason;
use adaptive::{Adaptive, Chooser};
use clock::Clock;
use frequency::Frequency;
use line::Line;
use order::Order;
use pages::{Pages, is_sparse};

/// Entries in dense slots, found by their hash and ranked by the order.
///
/// The index, the slots and the order have the same slots, `0..len`. When an entry leaves, the last one moves into its
/// slot: there are no holes, and what is allocated is always about what is needed.
///
/// A hit needs a shared borrow only, and whatever it changes in the order is an atomic or a note for later: no hit waits for another.
#[derive(Debug)]
pub(super) struct Ranked<K, V> {
    index: HashTable<u32>,
    slots: Pages<(Filed<K>, Option<V>)>,
    order: Box<dyn Order>,
    weight: u64,
    max_weight: u64,
}

impl<K, V> Ranked<K, V> {
    /// So many stores, each with room for this weight.
    pub(super) fn all(policy: Policy, max_weight: u64, stores: usize) -> impl Iterator<Item = Self> {
        let order = orders(policy);
        (0..stores).map(move |_| Self::new(order(), max_weight))
    }

    fn new(order: Box<dyn Order>, max_weight: u64) -> Self {
        Self { index: HashTable::new(), slots: Pages::default(), order, weight: 0, max_weight }
    }

    /// An empty one with the same rules.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.order.anew(), self.max_weight)
    }

    /// A hit; sets `unsettled` if [`settle`](Self::settle) is to be called soon.
    // Within a hit of the default store this would have its place on the stack of that, too.
    #[inline(never)]
    pub(super) fn hit(&self, hash: u64, probe: &impl Equivalent<Filed<K>>, unsettled: &mut bool) -> Option<&Option<V>> {
        let slot = self.find(hash, probe)?;
        *unsettled = self.order.hit(slot, hash);
        Some(&self.slots[slot as usize].1)
    }

    pub(super) fn peek(&self, hash: u64, probe: &impl Equivalent<Filed<K>>) -> Option<&Option<V>> {
        self.find(hash, probe).map(|slot| &self.slots[slot as usize].1)
    }

    pub(super) fn settle(&mut self) {
        self.order.settle();
    }

    #[inline]
    fn find(&self, hash: u64, probe: &impl Equivalent<Filed<K>>) -> Option<u32> {
        self.index.find(hash, |&slot| probe.equivalent(&self.slots[slot as usize].0)).copied()
    }

    /// Takes out the entry that the probe finds.
    pub(super) fn take(&mut self, hash: u64, probe: &impl Equivalent<Filed<K>>) -> Option<(Filed<K>, Option<V>)> {
        let slot = self.find(hash, probe)?;
        self.order.settle();
        self.order.remove(slot);
        Some(self.vacate(slot))
    }

    /// Puts an entry in, and calls `leave` with whatever leaves for it: another of the same key, and who has to make room.
    pub(super) fn insert(&mut self, filed: Filed<K>, value: Option<V>, mut leave: impl FnMut(Filed<K>, Option<V>, Why))
    where
        K: Eq,
    {
        let (hash, weight) = (filed.key.hash, u64::from(filed.life.weight()));
        let present = self.find(hash, &filed);
        self.order.settle();
        if let Some(slot) = present {
            let leaving = self.weight_of(slot);
            if self.weight - leaving + weight <= self.max_weight {
                self.weight = self.weight - leaving + weight;
                let (filed, value) = std::mem::replace(&mut self.slots[slot as usize], (filed, value));
                self.order.hit(slot, hash);
                return leave(filed, value, Why::Displaced);
            }
            self.order.remove(slot);
            let (filed, value) = self.vacate(slot);
            leave(filed, value, Why::Displaced);
        }
        if weight > self.max_weight {
            return leave(filed, value, Why::Known(RemovalReason::Capacity));
        }
        self.order.expect(hash);
        while self.weight + weight > self.max_weight {
            let Self { order, slots, .. } = self;
            let victim = order.victim(&|slot| slots[slot as usize].0.key.hash);
            self.order.remove(victim);
            let rest = self.weight - self.weight_of(victim);
            if rest + weight <= self.max_weight {
                // The last to leave: the newcomer takes its slot, and nothing moves.
                self.unindex(victim);
                let (filed, value) = std::mem::replace(&mut self.slots[victim as usize], (filed, value));
                self.weight = rest + weight;
                self.enter(hash, victim);
                return leave(filed, value, Why::Known(RemovalReason::Capacity));
            }
            let (filed, value) = self.vacate(victim);
            leave(filed, value, Why::Known(RemovalReason::Capacity));
        }
        self.weight += weight;
        self.slots.push((filed, value));
        self.enter(hash, (self.slots.len() - 1) as u32);
    }

    /// Takes all entries out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Filed<K>, Option<V>)> + use<K, V> {
        let empty = self.anew();
        std::mem::replace(self, empty).slots.into_iter()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// Makes a filled slot known.
    fn enter(&mut self, hash: u64, slot: u32) {
        let Self { index, slots, .. } = self;
        index.insert_unique(hash, slot, |&slot| slots[slot as usize].0.key.hash);
        self.order.insert(slot, hash);
    }

    fn weight_of(&self, slot: u32) -> u64 {
        u64::from(self.slots[slot as usize].0.life.weight())
    }

    fn unindex(&mut self, slot: u32) {
        let hash = self.slots[slot as usize].0.key.hash;
        self.index.find_entry(hash, |&of| of == slot).expect("every slot is indexed").remove();
    }

    /// Takes out the entry of a slot that the order has removed; the last entry moves there.
    fn vacate(&mut self, slot: u32) -> (Filed<K>, Option<V>) {
        self.unindex(slot);
        let last = (self.slots.len() - 1) as u32;
        if slot != last {
            let hash = self.slots[last as usize].0.key.hash;
            *self.index.find_mut(hash, |&of| of == last).expect("every slot is indexed") = slot;
        }
        let leaving = self.slots.swap_remove(slot as usize);
        self.order.swap_remove(slot);
        self.weight -= u64::from(leaving.0.life.weight());
        let Self { index, slots, .. } = self;
        if is_sparse(index.len(), index.capacity()) {
            index.shrink_to(index.len() * 2, |&slot| slots[slot as usize].0.key.hash);
        }
        leaving
    }

    /// How many bytes the index and the slots take.
    #[cfg(test)]
    fn allocated(&self) -> usize {
        self.index.allocation_size() + self.slots.capacity() * size_of::<(Filed<K>, Option<V>)>()
    }

    /// Checks that the parts agree.
    #[cfg(test)]
    fn validate(&self) {
        assert_eq!(self.index.len(), self.slots.len());
        let all = || (0..self.slots.len()).map(|slot| &self.slots[slot].0);
        for (slot, filed) in all().enumerate() {
            assert!(self.index.find(filed.key.hash, |&of| of as usize == slot).is_some(), "slot {slot} is indexed");
        }
        assert_eq!(self.weight, all().map(|filed| u64::from(filed.life.weight())).sum::<u64>());
        assert!(self.weight <= self.max_weight);
        self.order.validate(self.slots.len());
    }
}

/// Makes the order of each shard.
fn orders(policy: Policy) -> impl Fn() -> Box<dyn Order> {
    let chooser = Arc::<Chooser>::default();
    move || match policy {
        Policy::Lru => Box::new(Line::lru()),
        Policy::Mru => Box::new(Line::mru()),
        Policy::Fifo => Box::new(Line::fifo()),
        Policy::Lfu => Box::<Frequency>::default(),
        Policy::Clock => Box::<Clock>::default(),
        Policy::Adaptive => Box::new(Adaptive::new(Arc::clone(&chooser))),
        Policy::S3Fifo => unreachable!("quick_cache is its store"),
    }
}

#[cfg(test)]
mod tests;
