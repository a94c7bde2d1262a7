//! The flights that may be joined, by key.

use std::collections::hash_map::{Entry, HashMap};
use std::hash::Hash;

use super::{Flight, FlightId, Start, give_back};
use crate::key::{Prehashed, Stored};

/// Mostly there is one alone, if any. It has a place of its own, where nothing has to be searched for or made room for.
// In this order: the lone one stands at the end of the table, where memory begins.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Attached<K, W> {
    others: HashMap<Stored<K>, Flight<W>, Prehashed>,
    lone: Option<(Stored<K>, Flight<W>)>,
}

impl<K, W> Default for Attached<K, W> {
    fn default() -> Self {
        Self { lone: None, others: HashMap::default() }
    }
}

impl<K, W> Attached<K, W> {
    pub(super) fn len(&self) -> usize {
        usize::from(self.lone.is_some()) + self.others.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.lone.is_none() && self.others.is_empty()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Stored<K>, Flight<W>)> {
        self.lone.take().into_iter().chain(self.others.drain())
    }
}

impl<K: Eq + Hash, W> Attached<K, W> {
    #[inline]
    pub(super) fn get_mut(&mut self, key: &Stored<K>) -> Option<&mut Flight<W>> {
        match &mut self.lone {
            Some((lone, flight)) if lone == key => Some(flight),
            _ if self.others.is_empty() => None,
            _ => self.others.get_mut(key),
        }
    }

    /// The flight of this key, or `None` and from here on one that starts so.
    #[inline(always)]
    pub(super) fn get_or_insert(&mut self, key: Stored<K>, start: Start) -> Option<&mut Flight<W>> {
        if self.is_empty() {
            self.lone = Some((key, Flight::new(start)));
            return None;
        }
        self.get_or_insert_beside(key, Flight::new(start))
    }

    #[inline(never)]
    fn get_or_insert_beside(&mut self, key: Stored<K>, flight: Flight<W>) -> Option<&mut Flight<W>> {
        match &mut self.lone {
            Some((lone, there)) if *lone == key => Some(there),
            _ => match self.others.entry(key) {
                Entry::Occupied(there) => Some(there.into_mut()),
                Entry::Vacant(free) => {
                    free.insert(flight);
                    None
                }
            },
        }
    }

    pub(super) fn remove(&mut self, key: &Stored<K>) -> Option<(Stored<K>, Flight<W>)> {
        self.lone.take_if(|(lone, _)| lone == key).or_else(|| self.take_other(key))
    }

    /// Only if it is this flight.
    // Within its caller: what is returned is larger than what is wanted of it.
    #[inline(always)]
    pub(super) fn remove_if(&mut self, key: &Stored<K>, id: FlightId) -> Option<(Stored<K>, Flight<W>)> {
        // Numbers are unique: of the key nothing need be compared.
        match self.lone.take_if(|(_, flight)| flight.start.id == id) {
            Some(lone) => Some(lone),
            None => self.remove_beside(key, id),
        }
    }

    #[inline(never)]
    fn remove_beside(&mut self, key: &Stored<K>, id: FlightId) -> Option<(Stored<K>, Flight<W>)> {
        match self.others.get(key) {
            Some(flight) if flight.start.id == id => self.take_other(key),
            _ => None,
        }
    }

    fn take_other(&mut self, key: &Stored<K>) -> Option<(Stored<K>, Flight<W>)> {
        let other = self.others.remove_entry(key);
        give_back(&mut self.others);
        other
    }
}

#[cfg(test)]
impl<K, W> Attached<K, W> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Stored<K>, &Flight<W>)> {
        self.lone.iter().map(|(key, flight)| (key, flight)).chain(&self.others)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Flight<W>> {
        self.lone.iter_mut().map(|(_, flight)| flight).chain(self.others.values_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coherence::simulator::Random;

    #[test]
    fn what_very_many_flights_needed_goes_with_them() {
        let mut attached: Attached<u64, ()> = Attached::default();
        let key = |key| Stored { hash: u64::wrapping_mul(key, 0x9E37_79B9_7F4A_7C15), key };
        for id in 1..20_000 {
            attached.get_or_insert(key(id), Start { id, generation: 0, began: 0, blocking: false });
        }
        for id in 1..20_000 {
            assert!(if id % 2 == 0 { attached.remove(&key(id)) } else { attached.remove_if(&key(id), id) }.is_some());
        }
        let room = attached.others.capacity();
        assert!(attached.is_empty() && room < 2_000, "room for {room}");
    }

    #[test]
    fn alone_or_beside_others_each_key_has_its_own_flight() {
        let mut random = Random::new(7);
        let mut attached: Attached<u64, ()> = Attached::default();
        let mut model: HashMap<u64, FlightId> = HashMap::new();
        let (mut alone, mut crowded) = (0, 0);
        for id in 1..20_000 {
            // By turns few and many, so that each is the lone one at times.
            let keys = if id / 500 % 2 == 0 { 2 } else { 40 };
            if id % 500 == 0 {
                let drained: HashMap<_, _> = attached.drain().map(|(key, flight)| (key.key, flight.start.id)).collect();
                assert_eq!(drained, std::mem::take(&mut model));
            }
            let key = random.below(keys);
            let key = Stored { hash: key % 3, key };
            let start = Start { id, generation: 0, began: 0, blocking: false };
            let of = |found: Option<(Stored<u64>, Flight<()>)>| found.map(|(key, flight)| (key.key, flight.start.id));
            match random.below(4) {
                0 | 1 => {
                    let there = attached.get_or_insert(key.clone(), start).map(|flight| flight.start.id);
                    assert_eq!(there, model.get(&key.key).copied());
                    model.entry(key.key).or_insert(id);
                }
                2 => assert_eq!(of(attached.remove(&key)), model.remove_entry(&key.key)),
                _ => {
                    // In every second try it is that flight, in the others one that is over.
                    let wanted = model.get(&key.key).map_or(0, |id| id * random.below(2));
                    let gone = model.get(&key.key).filter(|&&id| id == wanted).map(|&id| (key.key, id));
                    assert_eq!(of(attached.remove_if(&key, wanted)), gone);
                    gone.map(|(key, _)| model.remove(&key));
                }
            }
            assert_eq!(attached.get_mut(&key).map(|flight| flight.start.id), model.get(&key.key).copied());
            assert_eq!((attached.len(), attached.is_empty()), (model.len(), model.is_empty()));
            alone += usize::from(model.len() == 1 && attached.lone.is_some());
            crowded += usize::from(attached.lone.is_some() && attached.others.len() > 1);
        }
        assert!(alone > 1_000 && crowded > 1_000, "{alone} {crowded}");
    }
}
