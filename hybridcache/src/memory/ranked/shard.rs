//! A part of the store: what one lock guards.

use hashbrown::HashTable;
use quick_cache::Equivalent;

use super::order::Order;
use super::pages::{Pages, is_sparse};
use crate::memory::Why;
use crate::memory::filed::Filed;
use crate::observe::RemovalReason;

/// Entries in dense slots, found by their hash and ranked by the order.
///
/// The index, the slots and the order have the same slots, `0..len`. When an entry leaves, the last one moves into its
/// slot: there are no holes, and what is allocated is always about what is needed.
#[derive(Debug)]
pub(super) struct Shard<K, V> {
    index: HashTable<u32>,
    slots: Pages<(Filed<K>, Option<V>)>,
    pub(super) order: Box<dyn Order>,
    weight: u64,
    max_weight: u64,
}

impl<K, V> Shard<K, V> {
    pub(super) fn new(order: Box<dyn Order>, max_weight: u64) -> Self {
        Self { index: HashTable::new(), slots: Pages::default(), order, weight: 0, max_weight }
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, probe: &impl Equivalent<Filed<K>>) -> Option<u32> {
        self.index.find(hash, |&slot| probe.equivalent(&self.slots[slot as usize].0)).copied()
    }

    #[inline]
    pub(super) fn value(&self, slot: u32) -> &Option<V> {
        &self.slots[slot as usize].1
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

    /// Takes out any entry.
    pub(super) fn pop(&mut self) -> Option<(Filed<K>, Option<V>)> {
        let last = self.slots.len().checked_sub(1)? as u32;
        self.order.settle();
        self.order.remove(last);
        Some(self.vacate(last))
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
    pub(super) fn allocated(&self) -> usize {
        self.index.allocation_size() + self.slots.capacity() * size_of::<(Filed<K>, Option<V>)>()
    }

    /// Checks that the parts agree.
    #[cfg(test)]
    pub(super) fn validate(&self) {
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
