//! `adaptive`: near the best of several policies on any stream, without being told which that is.
//!
//! One store can behave as any of five [`Expert`](expert::Expert)s, because all of them rule over the same three lists ([`Segments`]).
//! Which of them it follows is tried out in miniature beside it ([`Chooser`]): each expert has a small cache of its own
//! without values, which sees a sample of the keys and has the capacity that goes with it. The expert that would have hit
//! most lately is the one to follow.
//!
//! Where it comes from: miniature simulations are Waldspurger, Saemundsson, Ahmad and Park, *Cache Modeling and
//! Optimization using Miniature Simulations* (ATC 2017); sampling by the hash of the key is their SHARDS (FAST 2015).
//! The experts are LRU; segmented LRU (Karedla, Love and Wherry, 1994) with the memory of what left that ARC has;
//! 2Q (Johnson and Shasha, VLDB 1994) with the main part of S3-FIFO (Yang et al., SOSP 2023); and W-TinyLFU (Einziger,
//! Friedman and Manes, 2017), as it is and with a large window.

mod chooser;
mod expert;
mod ghosts;
mod segments;
mod sketch;

use std::sync::Arc;

use super::hits::Hits;
use super::order::Order;
pub(super) use chooser::Chooser;
use segments::Segments;

/// The order of one shard.
#[derive(Debug)]
pub(super) struct Adaptive {
    segments: Segments,
    hits: Hits,
    /// One for all shards.
    chooser: Arc<Chooser>,
}

impl Adaptive {
    pub(super) fn new(chooser: Arc<Chooser>) -> Self {
        Self { segments: Segments::default(), hits: Hits::default(), chooser }
    }
}

impl Order for Adaptive {
    fn anew(&self) -> Box<dyn Order> {
        Box::new(Self::new(Arc::clone(&self.chooser)))
    }

    #[inline]
    fn hit(&self, slot: u32, hash: u64) -> bool {
        self.chooser.on_request(hash);
        self.hits.note(slot)
    }

    fn settle(&mut self) {
        let Self { segments, hits, .. } = self;
        hits.drain(|slot| segments.hit(slot));
    }

    fn expect(&mut self, hash: u64) {
        self.chooser.on_request(hash);
        self.segments.follow(self.chooser.followed());
        self.segments.expect(hash);
    }

    fn victim(&mut self, hash_of: &dyn Fn(u32) -> u64) -> u32 {
        self.segments.fit();
        self.chooser.fit();
        self.segments.victim(hash_of)
    }

    fn insert(&mut self, slot: u32, hash: u64) {
        // One that takes the place of another changes no number, and does not touch what all shards share.
        if slot as usize == self.segments.len() {
            self.chooser.came();
        }
        self.segments.insert(slot, hash);
    }

    fn remove(&mut self, slot: u32) {
        self.segments.remove(slot);
    }

    fn swap_remove(&mut self, slot: u32) {
        self.segments.swap_remove(slot);
        self.chooser.left(1);
    }

    #[cfg(test)]
    fn validate(&self, len: usize) {
        self.segments.validate(len);
    }
}

impl Drop for Adaptive {
    /// The entries of a shard leave with its order when all of them are taken out at once.
    fn drop(&mut self) {
        self.chooser.left(self.segments.len());
    }
}

/// Whether tables for so many entries serve so many as well. Before anybody had to leave there are none, and none are
/// needed.
fn serves(tables: usize, entries: usize) -> bool {
    entries <= 2 * tables && tables <= 4 * entries
}

/// Mixes a hash anew, so that the bits which chose the shard or the sample say nothing here. The high half is the good
/// one.
fn spread(hash: u64, seed: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(seed)
}

/// A number below `n`, from a hash that is spread.
fn below(n: usize, spread: u64) -> usize {
    (((spread >> 32) * n as u64) >> 32) as usize
}
