//! The policies that are compared.

use std::convert::Infallible;

use hybridcache::{Cache, Policy};

/// A policy, and how it is replayed: through a cache of its own.
#[derive(Debug)]
pub struct Contender {
    /// As it is written in the attribute.
    pub name: &'static str,
    policy: Policy,
}

/// All of them. The first is what a cache uses unless told otherwise.
pub const CONTENDERS: [Contender; 7] = [
    Contender { name: "s3fifo", policy: Policy::S3Fifo },
    Contender { name: "adaptive", policy: Policy::Adaptive },
    Contender { name: "lru", policy: Policy::Lru },
    Contender { name: "lfu", policy: Policy::Lfu },
    Contender { name: "fifo", policy: Policy::Fifo },
    Contender { name: "mru", policy: Policy::Mru },
    Contender { name: "clock", policy: Policy::Clock },
];

/// What an entry has, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct EntryBytes {
    /// The key, the value, and what they refer to.
    pub all: u64,
    /// The key and the value themselves.
    pub inline: u64,
}

/// How many bytes more an entry takes at most if it expires, with each policy.
pub const EXPIRY: u64 = 35;

impl Contender {
    /// How many bytes so many entries without a lifetime take at most, by what is written at [`Policy`].
    #[must_use]
    pub fn bytes(&self, capacity: u64, entry: EntryBytes) -> u64 {
        let (trials, overhead) = match self.policy {
            Policy::S3Fifo => (0, 130 + entry.inline / 10 * 6),
            Policy::Adaptive => (200_000, 95 + entry.inline / 64),
            _ => (0, 75 + entry.inline / 64),
        };
        capacity.saturating_mul(entry.all.saturating_add(overhead)).saturating_add(trials)
    }

    /// How many of the requests are hits. `None` if `go_on`, asked before each part with how many requests are in it, said no.
    #[must_use]
    pub fn hits(&self, requests: &[u32], capacity: usize, mut go_on: impl FnMut(u64) -> bool) -> Option<u64> {
        let builder = Cache::builder("plan").policy(self.policy).capacity(capacity as u64);
        let cache: Cache<u32, ()> = builder.build().expect("a policy and a capacity above zero");
        let cache = cache.blocking();
        let mut misses = 0;
        for some in requests.chunks(4_096) {
            if !go_on(some.len() as u64) {
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
        contender.hits(requests, capacity, |_| true).unwrap()
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
            assert_eq!(contender.hits(&requests, 1_000, |_| true), Some(8_700), "{}", contender.name);
        }
    }

    #[test]
    fn of_a_loop_that_is_too_long_mru_keeps_a_part_and_lru_nothing() {
        let requests: Vec<u32> = (0..20_000).map(|i| i % 1_000).collect();
        assert!(hits("mru", &requests, 500) > 8_000);
        assert_eq!(hits("lru", &requests, 500), 0);
    }

    #[test]
    fn memory_is_counted_as_it_is_written_at_policy() {
        let bytes = |name: &str, all, inline| {
            let contender = CONTENDERS.iter().find(|it| it.name == name).unwrap();
            contender.bytes(1_000, EntryBytes { all, inline })
        };
        assert_eq!(bytes("s3fifo", 72, 72), 1_000 * (72 + 130 + 42));
        assert_eq!(bytes("s3fifo", 2_000, 32), 1_000 * (2_000 + 130 + 18));
        assert_eq!(bytes("adaptive", 72, 72), 1_000 * (72 + 95 + 1) + 200_000);
        assert_eq!(bytes("lru", 72, 72), 1_000 * (72 + 75 + 1));
        assert_eq!(bytes("lru", u64::MAX, 0), u64::MAX);
    }

    #[test]
    fn a_replay_can_be_stopped() {
        assert_eq!(CONTENDERS[0].hits(&[1, 1], 10, |_| false), None);
    }

    #[test]
    fn a_replay_says_how_far_it_is() {
        for requests in [1, 4_096, 5_000] {
            let mut replayed = 0;
            let go_on = |some| {
                replayed += some;
                true
            };
            assert!(CONTENDERS[0].hits(&vec![7; requests], 10, go_on).is_some());
            assert_eq!(replayed, requests as u64);
        }
    }
}
