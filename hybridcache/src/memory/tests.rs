use std::sync::{Mutex, MutexGuard};

use super::*;
use crate::entry::{Failure, Movement, Terms};

/// A memory tier with what the cache has around it: a lock for each shard.
struct Tier<V> {
    memory: Memory<u64, V>,
    shards: Vec<Mutex<Shard<u64, V>>>,
}

impl<V: Clone + Send + Sync + 'static> Tier<V> {
    fn new(policy: Policy, bound: Bound, listener: Option<Listener<u64, V>>) -> Self {
        let shards = Shard::all(policy, bound, 16).into_iter().map(Mutex::new).collect();
        Self { memory: Memory::new(bound, listener, Arc::default()), shards }
    }

    fn lock(&self, hash: u64) -> MutexGuard<'_, Shard<u64, V>> {
        // Not by the lowest bits: by these a shard finds its own.
        self.shards[(hash >> 32) as usize % self.shards.len()].lock().unwrap()
    }

    fn release(&self, removed: Removed<u64, V>, present: (u32, u64)) {
        self.memory.release(&removed, || present);
    }

    /// Puts an entry in at this generation and time; returns how many were replaced, had expired, were of another
    /// generation, and made room.
    fn put_at(&self, key: Stored<u64>, entry: Entry<V>, present: (u32, u64)) -> [u64; 4] {
        let mut removed = Removed::default();
        self.lock(key.hash).insert(key, entry, &mut removed);
        self.release(removed, present);
        let evictions = self.memory.meter.read(0, 0).evictions;
        [evictions.replaced, evictions.expired, evictions.explicit, evictions.capacity]
    }

    fn evict(&self, k: u64) {
        let mut removed = Removed::default();
        self.lock(key(k).hash).evict(key(k).hash, &&k).into_iter().for_each(|left| removed.add(left));
        self.release(removed, (0, 0));
    }

    fn sweep(&self, now: u64) {
        for shard in &self.shards {
            let mut more = true;
            while more {
                let mut removed = Removed::default();
                more = shard.lock().unwrap().expire(now, &mut removed);
                self.release(removed, (0, now));
            }
        }
    }

    fn take_all(&self) {
        for shard in &self.shards {
            let mut taken = shard.lock().unwrap().take_all();
            taken.drain().for_each(|removed| self.release(removed, (0, 0)));
        }
    }

    fn finds(&self, k: u64, now: u64) -> bool {
        self.hit(k, now).is_some()
    }

    fn hit(&self, k: u64, now: u64) -> Option<Option<V>> {
        self.lock(key(k).hash).hit::<_, ()>(key(k).hash, &&k, 0, now, &mut false)
    }

    fn of_all(&self, of: impl Fn(&Shard<u64, V>) -> u64) -> u64 {
        self.shards.iter().map(|shard| of(&shard.lock().unwrap())).sum()
    }

    fn len(&self) -> u64 {
        self.of_all(Shard::len)
    }

    fn weight(&self) -> u64 {
        self.of_all(Shard::weight)
    }

    /// How many entries the wheels have.
    fn filed(&self) -> u64 {
        self.of_all(|shard| shard.wheel.len() as u64)
    }
}

const POLICIES: [Policy; 7] =
    [Policy::S3Fifo, Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Mru, Policy::Clock, Policy::Adaptive];

fn tier(policy: Policy, bound: Bound) -> Tier<u64> {
    Tier::new(policy, bound, None)
}

fn key(k: u64) -> Stored<u64> {
    // Spread like a hash, so that shards and stripes all have their part.
    Stored { hash: k.wrapping_mul(0x9E37_79B9_7F4A_7C15), key: k }
}

fn entry(value: u64, deadline: u64, weight: u32) -> Entry<u64> {
    moving_entry(value, deadline, weight, None)
}

fn moving_entry(value: u64, deadline: u64, weight: u32, moving: Option<Movement>) -> Entry<u64> {
    let terms = Terms { deadline, moving: moving.map(Box::new), generation: 0, weight };
    Entry { kept: Kept::Value(value), terms }
}

fn put(tier: &Tier<u64>, k: u64, entry: Entry<u64>) {
    tier.put_at(key(k), entry, (0, 0));
}

/// A life that slides by `idle`.
fn sliding(idle: u64, idle_deadline: u64) -> Option<Movement> {
    Some(Movement { idle, idle_deadline, refresh_at: NEVER, renewal: None })
}

#[test]
fn small_capacities_hold_exactly_what_they_say() {
    for policy in POLICIES {
        for capacity in 1..=40_u64 {
            let tier = tier(policy, Bound::Entries(capacity));
            for k in 0..10 * capacity {
                put(&tier, k, entry(k, NEVER, 1));
                assert!(tier.finds(k, 0), "what was just put is there, with a capacity of {capacity} and {policy:?}");
            }
            assert_eq!(tier.len(), capacity);
            assert_eq!(tier.weight(), capacity);
        }
    }
}

#[test]
fn a_large_capacity_is_used_but_for_what_chance_leaves_over_in_a_shard() {
    for policy in POLICIES {
        let tier = tier(policy, Bound::Entries(10_000));
        (0..40_000).for_each(|k| put(&tier, k, entry(k, NEVER, 1)));
        assert!((9_900..=10_000).contains(&tier.len()), "{}", tier.len());
    }
}

#[test]
fn the_heaviest_entry_that_is_admitted_fits() {
    for policy in POLICIES {
        for (max, max_entry) in [(1_000, 1_000), (1_000, 62), (1 << 20, 1 << 16), (100, 50), (17, 1), (1, 1)] {
            let tier = tier(policy, Bound::Weight { max, max_entry });
            assert!(tier.memory.admits(max_entry));
            assert!(!tier.memory.admits(max_entry + 1));
            put(&tier, 1, entry(1, NEVER, u32::try_from(max_entry).unwrap()));
            assert!(tier.finds(1, 0), "an entry of {max_entry} in {max}");
            (2..500).for_each(|k| put(&tier, k, entry(k, NEVER, 1)));
            assert!(tier.weight() <= max, "{} of {max}", tier.weight());
        }
    }
}

#[test]
fn the_wheel_remembers_no_more_than_there_is() {
    for policy in POLICIES {
        let tier = tier(policy, Bound::Entries(100));
        for k in 0..10_000 {
            let moving = if k % 2 == 0 { sliding(50, 1_000 + k) } else { None };
            put(&tier, k, moving_entry(k, 5_000 + k, 1, moving));
            tier.finds(k, 2_000 + k);
            tier.finds(k / 2, k);
        }
        assert_eq!(tier.filed(), tier.len());
        tier.sweep(NEVER - 1);
        assert_eq!(tier.len(), 0);
        assert_eq!(tier.filed(), 0);
    }
}

#[test]
fn a_sweep_frees_the_dead_and_leaves_the_renewed() {
    for policy in POLICIES {
        let tier = tier(policy, Bound::Entries(1_000));
        for k in 0..100 {
            put(&tier, k, moving_entry(k, NEVER, 1, sliding(100, 100)));
        }
        assert!((0..50).all(|k| tier.finds(k, 90)));
        tier.sweep(150);
        assert_eq!(tier.len(), 50, "the others were not hit");
        tier.sweep(250);
        assert_eq!(tier.len(), 0, "nor were these, since");
    }
}

#[test]
fn whatever_comes_and_goes_the_wheel_holds_a_place_for_each_entry_that_expires() {
    for policy in POLICIES {
        let tier = tier(policy, Bound::Entries(100));
        let holds = |wanted: u64| assert_eq!(tier.filed(), wanted);
        // The same few keys, over and over, with lives that nothing ends meanwhile: longer, shorter, and none.
        for round in 0..10_000_u64 {
            put(&tier, round % 7, entry(round, 1_000_000 + round.wrapping_mul(7_919) % 1_000, 1));
            if round % 3 == 0 {
                tier.evict(round % 5);
            }
        }
        holds(tier.len());
        (0..7).for_each(|k| put(&tier, k, entry(k, NEVER, 1)));
        holds(0);
        (0..7).for_each(|k| put(&tier, k, entry(k, 500, 1)));
        holds(7);
        tier.take_all();
        holds(0);
    }
}

#[test]
fn an_entry_that_takes_the_place_of_another_expires_on_its_own_terms() {
    for policy in POLICIES {
        for (first, second) in [(100, 300), (300, 100), (100, 100), (NEVER, 100), (100, NEVER)] {
            let tier = tier(policy, Bound::Entries(100));
            put(&tier, 1, entry(1, first, 1));
            put(&tier, 1, entry(2, second, 1));
            for now in (0..500).step_by(10) {
                tier.sweep(now);
                // A bucket is ten wide, and popped when it has passed.
                if now < second {
                    assert_eq!(tier.len(), 1, "{second} at {now}");
                } else if now >= second + 10 {
                    assert_eq!(tier.len(), 0, "{second} at {now}");
                }
            }
        }
    }
}

#[test]
fn of_two_keys_with_one_hash_each_expires_in_its_time() {
    for policy in POLICIES {
        let tier = tier(policy, Bound::Entries(100));
        let alike = |k| Stored { hash: 7, key: k };
        for (k, dies_at) in [(1, 100), (2, 300), (3, 200)] {
            tier.put_at(alike(k), entry(k, dies_at, 1), (0, 0));
        }
        for (now, left) in [(90, 3), (110, 2), (210, 1), (310, 0)] {
            tier.sweep(now);
            assert_eq!(tier.len(), left, "at {now}");
        }
        assert_eq!(tier.filed(), 0);
        // One is dead, and the other of them lives on, though both were filed by the same end.
        tier.put_at(alike(1), moving_entry(1, NEVER, 1, sliding(100, 100)), (0, 0));
        tier.put_at(alike(2), entry(2, 100, 1), (0, 0));
        assert!(tier.lock(7).hit::<_, ()>(7, &&1, 0, 90, &mut false).is_some());
        tier.sweep(110);
        assert_eq!((tier.len(), tier.filed()), (1, 1));
        // The next one takes the place of the one that left, and keeps it when the other leaves.
        tier.put_at(Stored { hash: 8, key: 3 }, entry(3, 300, 1), (0, 0));
        tier.put_at(alike(1), entry(1, NEVER, 1), (0, 0));
        tier.sweep(310);
        assert_eq!((tier.len(), tier.filed()), (1, 0));
    }
}

#[test]
fn who_leaves_is_counted_by_why() {
    for policy in POLICIES {
        let tier = tier(policy, Bound::Entries(1));
        let of = |generation, deadline| {
            let mut entry = entry(1, deadline, 1);
            entry.terms.generation = generation;
            entry
        };
        assert_eq!(tier.put_at(key(1), of(0, 100), (0, 0)), [0, 0, 0, 0]);
        assert_eq!(tier.put_at(key(1), of(0, 100), (0, 50)), [1, 0, 0, 0], "it was alive");
        assert_eq!(tier.put_at(key(1), of(0, 200), (0, 150)), [1, 1, 0, 0], "it was dead");
        assert_eq!(tier.put_at(key(1), of(1, 200), (1, 150)), [1, 1, 1, 0], "it was cleared");
        assert_eq!(tier.put_at(key(2), of(1, 200), (1, 150)), [1, 1, 1, 1], "it made room");
    }
}

#[test]
fn errors_are_found_by_a_closer_look_only() {
    for policy in POLICIES {
        let tier = tier(policy, Bound::Entries(100));
        let look = |now| tier.lock(key(1).hash).look(key(1).hash, &&1, 0, now, &mut false);
        assert!(look(0).is_none());
        put(&tier, 1, entry(7, 100, 1));
        assert!(matches!(look(99), Some((Kept::Value(7), None))));
        assert!(look(100).is_none(), "it is dead");
        put(&tier, 1, Entry { kept: Kept::Nothing, ..entry(0, 100, 1) });
        assert!(matches!(look(0), Some((Kept::Nothing, None))));
        assert_eq!(tier.hit(1, 0), Some(None));
        put(&tier, 1, Entry { kept: Kept::Failed(Failure::new(7_u8)), ..entry(0, 100, 1) });
        assert!(matches!(look(99), Some((Kept::Failed(_), Some(_)))));
        assert!(look(100).is_none());
        assert_eq!(tier.hit(1, 0), None);
        assert_eq!(tier.lock(key(1).hash).peek(key(1).hash, &&1, 0, 0), None);
    }
}

#[test]
fn an_entry_of_a_number_and_a_pointer_is_a_cache_line() {
    // Beside what the store adds: two links and a word of its own.
    assert_eq!(size_of::<(Filed<u64>, Option<Arc<u64>>)>(), 48);
}

#[test]
fn values_are_dropped_and_told_of_where_no_lock_is_held() {
    // A value whose `Drop`, and a listener that, use the cache: under a lock either would hang.
    type Shared = Arc<Mutex<Option<Arc<Tier<Curious>>>>>;
    #[derive(Clone)]
    struct Curious(Shared);
    impl Drop for Curious {
        fn drop(&mut self) {
            let tier = self.0.lock().unwrap().clone();
            if let Some(tier) = tier {
                (0..20).for_each(|k| tier.evict(1_000 + k));
            }
        }
    }

    for policy in POLICIES {
        let shared: Shared = Arc::default();
        let told = Arc::new(Mutex::new(0));
        let listener: Listener<u64, Curious> = {
            let (shared, told) = (Arc::clone(&shared), Arc::clone(&told));
            Arc::new(move |k, _, _| {
                let tier = shared.lock().unwrap().clone();
                if let Some(tier) = tier {
                    tier.evict(k + 5_000);
                }
                *told.lock().unwrap() += 1;
            })
        };
        let tier = Arc::new(Tier::new(policy, Bound::Entries(50), Some(listener)));
        *shared.lock().unwrap() = Some(Arc::clone(&tier));
        for k in 0..500 {
            let terms = Terms { deadline: 100, moving: None, generation: 0, weight: 1 };
            tier.put_at(key(k), Entry { kept: Kept::Value(Curious(Arc::clone(&shared))), terms }, (0, 0));
        }
        tier.sweep(200);
        assert_eq!(*told.lock().unwrap(), 500);
        *shared.lock().unwrap() = None;
    }
}

#[test]
fn what_leaves_gives_its_place_back_at_once() {
    for policy in POLICIES {
        let tier = tier(policy, Bound::Entries(1_000));
        for k in 0..5_000 {
            let mut removed = Removed::default();
            tier.lock(key(k).hash).insert(key(k), entry(k, 1_000, 1), &mut removed);
            assert_eq!(tier.filed(), tier.len(), "before it is released");
        }
    }
}

#[test]
fn memory_goes_back_when_most_have_expired() {
    let tier = tier(Policy::S3Fifo, Bound::Entries(16_000));
    for k in 0..16_000 {
        put(&tier, k, entry(k, if k % 100 == 0 { 1_000 } else { 100 }, 1));
    }
    let room = || -> usize {
        let of = |shard: &Shard<u64, u64>| match &shard.store {
            Store::Quick(quick) => quick.memory_used() as u64,
            Store::Ranked(_) => unreachable!("the default policy is quick_cache's"),
        };
        tier.of_all(of) as usize
    };
    let full = room();
    tier.sweep(200);
    assert_eq!(room(), full, "it keeps its slots");
    for shard in &tier.shards {
        let mut removed = Removed::default();
        let sparse = shard.lock().unwrap().shrink(&mut removed);
        drop(sparse);
        assert!(removed.first.is_none(), "nobody has to leave for that");
    }
    assert!(room() * 10 < full, "{} of {full} bytes", room());
    assert_eq!(tier.len(), 160);
    assert!((0..16_000).step_by(100).all(|k| tier.finds(k, 200)), "who lives is there");
    assert_eq!(tier.filed(), 160);
    tier.sweep(2_000);
    assert_eq!((tier.len(), tier.filed()), (0, 0), "and ends in its time");
}

#[test]
fn a_weighed_store_is_made_for_as_many_as_it_holds_and_loses_none_for_it() {
    const MOST: u64 = 1 << 18;
    let tier = tier(Policy::S3Fifo, Bound::Weight { max: MOST, max_entry: MOST / 16 });
    let mut puts = 0;
    for (lightest, heaviest) in [(100, 100), (1_000, 1_000), (50, 150), (100, 5_000), (1, 1_000)] {
        let mean = (lightest + heaviest) / 2;
        // What it held before is asked about once more, and then what it holds.
        for _ in 0..2 * tier.len() + 20 * MOST / mean {
            let weight = lightest + puts * 7_919 % (heaviest - lightest + 1);
            let [.., made_room] = tier.put_at(key(puts), entry(puts, 1_000 + puts, weight as u32), (0, 0));
            assert!(tier.finds(puts, 0), "what was just put is there");
            puts += 1;
            if puts % 16 == 0 {
                assert_eq!(tier.len(), puts - made_room, "whoever is not there had to make room");
                assert!(tier.weight() <= MOST);
                assert!(made_room == 0 || tier.weight() > MOST / 2, "nobody leaves early");
            }
        }
        assert_eq!(tier.filed(), tier.len());
        let slots = tier.of_all(|shard| match &shard.store {
            Store::Quick(quick) => quick.memory_used() as u64,
            Store::Ranked(_) => unreachable!("the default policy is quick_cache's"),
        });
        assert!(slots <= 200 * tier.len(), "{slots} bytes for {} entries of about {mean}", tier.len());
    }
    tier.sweep(NEVER - 1);
    assert_eq!((tier.len(), tier.filed()), (0, 0), "each ends in its time");
}
