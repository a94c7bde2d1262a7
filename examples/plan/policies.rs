//! The policies that are compared.

use hybridcache::{Cache, Policy};

use crate::simulated::{self, Simulated};

/// What answers the requests of a replay.
pub(crate) enum Contender {
    /// A real cache.
    Real(Policy),
    /// Only the decisions of a policy that is not in the library yet.
    Simulated(fn(usize) -> Box<dyn Simulated>),
}

/// All of them. The first is what a cache uses unless told otherwise.
pub(crate) const CONTENDERS: [(&str, Contender); 7] = [
    ("s3fifo", Contender::Real(Policy::S3Fifo)),
    ("adaptive", Contender::Simulated(simulated::adaptive)),
    ("lru", Contender::Simulated(simulated::lru)),
    ("lfu", Contender::Simulated(simulated::lfu)),
    ("fifo", Contender::Simulated(simulated::fifo)),
    ("mru", Contender::Simulated(simulated::mru)),
    ("clock", Contender::Simulated(simulated::clock)),
];

impl Contender {
    /// How many of the requests are hits. `None` if `go_on`, asked now and then, said no.
    pub(crate) fn hits(&self, requests: &[u32], capacity: usize, mut go_on: impl FnMut() -> bool) -> Option<u64> {
        match self {
            Contender::Real(policy) => {
                let cache: Cache<u32, ()> =
                    Cache::builder("plan").policy(*policy).capacity(capacity as u64).build().expect("valid options");
                let cache = cache.blocking();
                replay(requests, &mut go_on, |key| {
                    let hit = cache.get(&key).is_some();
                    if !hit {
                        cache.insert(&key, ()).expect("the memory tier takes all values");
                    }
                    hit
                })
            }
            Contender::Simulated(new) => {
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
