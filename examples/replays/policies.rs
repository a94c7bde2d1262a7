//! The policies that are compared.

use hybridcache::{Cache, Policy};

use crate::simulated::{self, Simulated};

/// A policy, and how it is replayed.
#[derive(Debug)]
pub struct Contender {
    /// As it is written in the attribute.
    pub name: &'static str,
    /// What an entry takes beside its key and value and what these refer to, in bytes.
    pub overhead: u64,
    store: Store,
}

#[derive(Debug)]
enum Store {
    /// A real cache.
    Real(Policy),
    /// Only the decisions of a policy that is not in the library yet.
    Simulated(fn(usize) -> Box<dyn Simulated>),
}

/// All of them. The first is what a cache uses unless told otherwise.
pub const CONTENDERS: [Contender; 7] = [
    Contender { name: "s3fifo", overhead: 340, store: Store::Real(Policy::S3Fifo) },
    Contender { name: "adaptive", overhead: 110, store: Store::Simulated(simulated::adaptive) },
    Contender { name: "lru", overhead: 80, store: Store::Simulated(simulated::lru) },
    Contender { name: "lfu", overhead: 80, store: Store::Simulated(simulated::lfu) },
    Contender { name: "fifo", overhead: 80, store: Store::Simulated(simulated::fifo) },
    Contender { name: "mru", overhead: 80, store: Store::Simulated(simulated::mru) },
    Contender { name: "clock", overhead: 80, store: Store::Simulated(simulated::clock) },
];

impl Contender {
    /// Whether it has no cache yet.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        matches!(self.store, Store::Simulated(_))
    }

    /// How many of the requests are hits. `None` if `go_on`, asked now and then, said no.
    #[must_use]
    pub fn hits(&self, requests: &[u32], capacity: usize, mut go_on: impl FnMut() -> bool) -> Option<u64> {
        match self.store {
            Store::Real(policy) => {
                let builder = Cache::builder("plan").policy(policy).capacity(capacity as u64);
                let cache: Cache<u32, ()> = builder.build().expect("a policy and a capacity above zero");
                let cache = cache.blocking();
                replay(requests, &mut go_on, |key| {
                    let hit = cache.get(&key).is_some();
                    if !hit {
                        cache.insert(&key, ()).expect("the memory tier takes all values");
                    }
                    hit
                })
            }
            Store::Simulated(new) => {
                let mut simulated = new(capacity);
                replay(requests, &mut go_on, |key| simulated.request(key))
            }
        }
    }
}

fn replay(requests: &[u32], go_on: &mut impl FnMut() -> bool, mut request: impl FnMut(u32) -> bool) -> Option<u64> {
    let mut hits = 0;
    for some in requests.chunks(4_096) {
        if !go_on() {
            return None;
        }
        hits += some.iter().filter(|key| request(**key)).count() as u64;
    }
    Some(hits)
}
