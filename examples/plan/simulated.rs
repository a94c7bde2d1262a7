//! Policies without a cache: which keys would be in it.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::adaptive::{Chooser, Segments};

/// A policy with a capacity.
pub(crate) trait Simulated {
    /// Whether the key was in. It is, from here on.
    fn request(&mut self, key: u32) -> bool;
}

/// Gives up the key with the least rank.
struct Ranked {
    capacity: usize,
    /// What a request makes of the rank of its key, at this time. `None` is a new key.
    rank: fn(Option<(i64, i64)>, i64) -> (i64, i64),
    ranks: HashMap<u32, (i64, i64)>,
    order: BTreeSet<((i64, i64), u32)>,
    now: i64,
}

impl Ranked {
    fn new(capacity: usize, rank: fn(Option<(i64, i64)>, i64) -> (i64, i64)) -> Box<dyn Simulated> {
        Box::new(Self { capacity, rank, ranks: HashMap::new(), order: BTreeSet::new(), now: 0 })
    }
}

impl Simulated for Ranked {
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
    Ranked::new(capacity, |_, now| (now, 0))
}

pub(crate) fn fifo(capacity: usize) -> Box<dyn Simulated> {
    Ranked::new(capacity, |old, now| old.unwrap_or((now, 0)))
}

pub(crate) fn mru(capacity: usize) -> Box<dyn Simulated> {
    Ranked::new(capacity, |_, now| (-now, 0))
}

/// Of those asked for equally often the least recent leaves.
pub(crate) fn lfu(capacity: usize) -> Box<dyn Simulated> {
    Ranked::new(capacity, |old, now| (old.map_or(1, |(count, _)| count + 1), now))
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
