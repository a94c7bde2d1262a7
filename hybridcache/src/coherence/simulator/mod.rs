//! A fleet of three nodes in one thread: seeded, deterministic, with several keys, real delays and several faults at once, where the
//! model has one key and every interleaving. Nodes are the real [`Node`] and [`Table`], driven as production drives them; the server
//! is what [`server`] knows of Redis.
//!
//! In one of four seeds nodes die, and no server does: what those write under an intent leaves nothing old all the same.
//!
//! Checked at every step: G1 no stale fill; G2 nothing older than D is served; G3 a node reads its own writes; G4 its reads do not go
//! back; and at the end G6: nothing acknowledged is lost, and everybody reads the newest version.

mod check;
mod process;
mod server;
mod tests;
mod world;

use std::sync::Arc;

use super::deferred::{Body, Text};

/// A key: of cache `a` if even, of cache `b` if odd.
pub(crate) type Key = u8;

pub(crate) const KEYS: Key = 6;
pub(crate) const NODES: usize = 3;

/// In milliseconds.
pub(crate) const FRESH_FOR: u64 = 200;
pub(crate) const HEARTBEAT: u64 = 50;
/// How long an intent stands whose writer does not end it.
pub(crate) const INTENT: u64 = 150;

fn cache_of(key: Key) -> &'static str {
    if key.is_multiple_of(2) { "a" } else { "b" }
}

fn text_of(key: Key) -> Text {
    Text { cache: cache_of(key).into(), key: [key].into() }
}

fn key_of(text: &Text) -> Key {
    text.key[0]
}

fn caches(name: &str) -> impl Iterator<Item = Key> {
    (0..KEYS).filter(move |key| name == "*" || cache_of(*key) == name)
}

fn eviction(key: Key) -> Body {
    Body::Keys(Arc::new([text_of(key)]))
}

/// splitmix64: the same numbers for the same seed, everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
