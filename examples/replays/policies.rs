//! The policies that are compared.

use std::convert::Infallible;

use hybridcache::{Cache, Policy};

/// A policy, and how it is replayed: through a cache of its own.
#[derive(Debug)]
pub struct Contender {
    /// As it is written in the attribute.
    pub name: &'static str,
    /// What an entry takes at most beside its key and value and what these refer to, in bytes: see `benches/README.md`,
    /// Memory.
    pub overhead: u64,
    policy: Policy,
}

/// All of them. The first is what a cache uses unless told otherwise.
pub const CONTENDERS: [Contender; 7] = [
    Contender { name: "s3fifo", overhead: 159, policy: Policy::S3Fifo },
    Contender { name: "adaptive", overhead: 87, policy: Policy::Adaptive },
    Contender { name: "lru", overhead: 68, policy: Policy::Lru },
    Contender { name: "lfu", overhead: 71, policy: Policy::Lfu },
    Contender { name: "fifo", overhead: 68, policy: Policy::Fifo },
    Contender { name: "mru", overhead: 66, policy: Policy::Mru },
    Contender { name: "clock", overhead: 69, policy: Policy::Clock },
];

impl Contender {
    /// How many of the requests are hits. `None` if `go_on`, asked now and then, said no.
    #[must_use]
    pub fn hits(&self, requests: &[u32], capacity: usize, mut go_on: impl FnMut() -> bool) -> Option<u64> {
        let builder = Cache::builder("plan").policy(self.policy).capacity(capacity as u64);
        let cache: Cache<u32, ()> = builder.build().expect("a policy and a capacity above zero");
        let cache = cache.blocking();
        let mut misses = 0;
        for some in requests.chunks(4_096) {
            if !go_on() {
                return None;
            }
            for key in some {
                let loaded: Result<(), Infallible> = cache.get_or_load(key, || {
                    misses += 1;
                    Ok(())
                });
                loaded.expect("the loader cannot fail");
            }
        }
        Some(requests.len() as u64 - misses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(name: &str, requests: &[u32], capacity: usize) -> u64 {
        let contender = CONTENDERS.iter().find(|it| it.name == name).unwrap();
        contender.hits(requests, capacity, || true).unwrap()
    }

    #[test]
    fn each_policy_gives_up_who_it_should() {
        let requests = [1, 2, 3, 1, 1, 2, 4];
        for (name, held) in
            [("lru", [1, 2, 4]), ("fifo", [2, 3, 4]), ("mru", [1, 3, 4]), ("lfu", [1, 2, 4]), ("clock", [1, 2, 4])]
        {
            // Asking changes who is in, so each question has a replay of its own.
            let is_held = |key: &u32| {
                let asked = [&requests[..], &[*key]].concat();
                hits(name, &asked, 3) > hits(name, &requests, 3)
            };
            let found: Vec<u32> = (1..=4).filter(is_held).collect();
            assert_eq!(found, held, "{name}");
        }
    }

    #[test]
    fn with_room_for_all_only_first_requests_miss() {
        let requests: Vec<u32> = (0..9_000).map(|i| i % 300).collect();
        for contender in &CONTENDERS {
            assert_eq!(contender.hits(&requests, 1_000, || true), Some(8_700), "{}", contender.name);
        }
    }

    #[test]
    fn of_a_loop_that_is_too_long_mru_keeps_a_part_and_lru_nothing() {
        let requests: Vec<u32> = (0..20_000).map(|i| i % 1_000).collect();
        assert!(hits("mru", &requests, 500) > 8_000);
        assert_eq!(hits("lru", &requests, 500), 0);
    }

    #[test]
    fn a_replay_can_be_stopped() {
        assert_eq!(CONTENDERS[0].hits(&[1, 1], 10, || false), None);
    }
}
