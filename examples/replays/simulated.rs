//! Policies without a cache: which keys would be in it.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::adaptive::{Chooser, Segments};

/// A policy with a capacity.
pub(crate) trait Simulated {
    /// Whether the key was in. It is, from here on.
    fn request(&mut self, key: u32) -> bool;
}

type Rank = (i64, i64);

/// Gives up the key with the least rank.
struct Ranked<R> {
    capacity: usize,
    /// What a request makes of the rank of its key, at this time. `None` is a new key.
    rank: R,
    ranks: HashMap<u32, Rank>,
    order: BTreeSet<(Rank, u32)>,
    now: i64,
}

fn ranked(capacity: usize, rank: impl Fn(Option<Rank>, i64) -> Rank + 'static) -> Box<dyn Simulated> {
    Box::new(Ranked { capacity, rank, ranks: HashMap::new(), order: BTreeSet::new(), now: 0 })
}

impl<R: Fn(Option<Rank>, i64) -> Rank> Simulated for Ranked<R> {
    fn request(&mut self, key: u32) -> bool {
        self.now += 1;
        let old = self.ranks.get(&key).copied();
        match old {
            Some(rank) => _ = self.order.remove(&(rank, key)),
            None if self.ranks.len() == self.capacity => {
                if let Some((_, least)) = self.order.pop_first() {
                    self.ranks.remove(&least);
                }
            }
            None => {}
        }
        let rank = (self.rank)(old, self.now);
        self.ranks.insert(key, rank);
        self.order.insert((rank, key));
        old.is_some()
    }
}

pub(crate) fn lru(capacity: usize) -> Box<dyn Simulated> {
    ranked(capacity, |_, now| (now, 0))
}

pub(crate) fn fifo(capacity: usize) -> Box<dyn Simulated> {
    ranked(capacity, |old, now| old.unwrap_or((now, 0)))
}

pub(crate) fn mru(capacity: usize) -> Box<dyn Simulated> {
    ranked(capacity, |_, now| (-now, 0))
}

/// Of those asked for equally often the least recent leaves.
pub(crate) fn lfu(capacity: usize) -> Box<dyn Simulated> {
    ranked(capacity, |old, now| (old.map_or(1, |(count, _)| count + 1), now))
}

/// FIFO, but who was asked for goes round once more.
struct Clock {
    capacity: usize,
    asked: HashMap<u32, bool>,
    round: VecDeque<u32>,
}

pub(crate) fn clock(capacity: usize) -> Box<dyn Simulated> {
    Box::new(Clock { capacity, asked: HashMap::new(), round: VecDeque::new() })
}

impl Simulated for Clock {
    fn request(&mut self, key: u32) -> bool {
        if let Some(asked) = self.asked.get_mut(&key) {
            *asked = true;
            return true;
        }
        while self.asked.len() == self.capacity
            && let Some(hand) = self.round.pop_front()
        {
            match self.asked.get_mut(&hand) {
                Some(asked) if *asked => {
                    *asked = false;
                    self.round.push_back(hand);
                }
                _ => _ = self.asked.remove(&hand),
            }
        }
        self.asked.insert(key, false);
        self.round.push_back(key);
        false
    }
}

/// The adaptive policy over one shard.
struct Adaptive {
    capacity: usize,
    chooser: Chooser,
    segments: Segments,
    slots: HashMap<u32, u32>,
    keys: Vec<u32>,
    free: u32,
}

pub(crate) fn adaptive(capacity: usize) -> Box<dyn Simulated> {
    let (chooser, segments) = (Chooser::new(capacity), Segments::new(capacity));
    Box::new(Adaptive { capacity, chooser, segments, slots: HashMap::new(), keys: Vec::new(), free: 0 })
}

impl Simulated for Adaptive {
    fn request(&mut self, key: u32) -> bool {
        let hash = |key: u32| u64::from(key).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
        self.chooser.on_request(hash(key));
        if let Some(&slot) = self.slots.get(&key) {
            self.segments.on_hit(slot);
            return true;
        }
        match self.keys.get_mut(self.free as usize) {
            Some(place) => *place = key,
            None => self.keys.push(key),
        }
        self.slots.insert(key, self.free);
        self.segments.follow(self.chooser.followed());
        self.segments.on_insert(self.free, hash(key));
        self.free = self.keys.len() as u32;
        if self.slots.len() > self.capacity
            && let Some(victim) = self.segments.choose_victim(|slot| hash(self.keys[slot as usize]))
        {
            self.slots.remove(&self.keys[victim as usize]);
            self.free = victim;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Source;

    const CAPACITY: usize = 1_000;

    fn ratio(new: fn(usize) -> Box<dyn Simulated>, requests: &[u32]) -> f64 {
        let mut simulated = new(CAPACITY);
        requests.iter().filter(|key| simulated.request(**key)).count() as f64 / requests.len() as f64
    }

    fn zipf() -> Vec<u32> {
        let source = Source::Zipf { requests: 100_000, products: 20_000, exponent: 0.9 };
        source.small_keys().unwrap().map(Result::unwrap).collect()
    }

    fn endless_loop() -> Vec<u32> {
        (0..50_000).map(|i| 1_000_000 + i % 2_000).collect()
    }

    /// Keys that are asked for while they are new, and never again.
    fn recency() -> Vec<u32> {
        let steps = zipf();
        steps.iter().zip(0..).map(|(step, now)| 2_000_000 + now / 8 + step % 900).collect()
    }

    #[test]
    fn the_simulated_policies_give_up_who_they_should() {
        let held = |new: fn(usize) -> Box<dyn Simulated>| {
            // Asking changes who is in, so each question has a copy of its own.
            (1..=4)
                .filter(|asked| {
                    let mut simulated = new(3);
                    [1, 2, 3, 1, 1, 2, 4].iter().for_each(|key| _ = simulated.request(*key));
                    simulated.request(*asked)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(held(lru), [1, 2, 4]);
        assert_eq!(held(fifo), [2, 3, 4]);
        assert_eq!(held(mru), [1, 3, 4]);
        assert_eq!(held(lfu), [1, 2, 4]);
        assert_eq!(held(clock), [1, 2, 4]);
    }

    #[test]
    fn where_popularity_lasts_adaptive_is_as_good_as_lfu() {
        let requests = zipf();
        let (adaptive, lfu, lru) = (ratio(adaptive, &requests), ratio(lfu, &requests), ratio(lru, &requests));
        assert!(adaptive > lfu - 0.01 && adaptive > lru + 0.05, "{adaptive} {lfu} {lru}");
    }

    #[test]
    fn in_a_loop_adaptive_keeps_a_part_as_mru_does() {
        let requests = endless_loop();
        let (adaptive, mru, lru) = (ratio(adaptive, &requests), ratio(mru, &requests), ratio(lru, &requests));
        assert!(adaptive > mru - 0.05 && lru == 0.0, "{adaptive} {mru}");
    }

    #[test]
    fn where_only_recency_counts_adaptive_is_as_good_as_lru() {
        let requests = recency();
        let (adaptive, lru, lfu) = (ratio(adaptive, &requests), ratio(lru, &requests), ratio(lfu, &requests));
        assert!(adaptive > lru - 0.02 && lru > lfu + 0.1, "{adaptive} {lru} {lfu}");
    }

    #[test]
    fn adaptive_follows_when_the_stream_changes() {
        let requests: Vec<u32> = [zipf(), endless_loop(), recency(), endless_loop(), zipf()].concat();
        let best_single = [lru, lfu, mru, fifo, clock].map(|new| ratio(new, &requests)).into_iter().fold(0.0, f64::max);
        let adaptive = ratio(adaptive, &requests);
        assert!(adaptive > best_single + 0.02, "{adaptive} {best_single}");
    }
}
