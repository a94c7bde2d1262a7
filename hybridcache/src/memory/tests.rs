use std::sync::Mutex;

use super::*;
use crate::entry::{Moving, Terms};

const POLICIES: [Policy; 6] = [Policy::S3Fifo, Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Mru, Policy::Clock];

fn memory(policy: Policy, bound: Bound) -> Memory<u64, u64> {
    Memory::new(policy, bound, 10, None, Arc::default())
}

fn key(k: u64) -> Stored<u64> {
    // Spread like a hash, so that shards and stripes all have their part.
    Stored { hash: k.wrapping_mul(0x9E37_79B9_7F4A_7C15), key: k }
}

fn entry(value: u64, deadline: u64, weight: u32) -> Entry<u64> {
    moving_entry(value, deadline, weight, None)
}

fn moving_entry(value: u64, deadline: u64, weight: u32, moving: Option<Moving>) -> Entry<u64> {
    let terms = Terms { deadline, moving: moving.map(Arc::new), generation: 0, weight };
    Entry { kept: Kept::Value(value), terms }
}

fn put(memory: &Memory<u64, u64>, k: u64, entry: Entry<u64>) {
    let mut removed = Removed::default();
    memory.displace(&key(k), 0, 0, &mut removed);
    memory.insert(key(k), entry, &mut removed);
    memory.release(removed);
}

fn finds(memory: &Memory<u64, u64>, k: u64, now: u64) -> bool {
    memory.hit(key(k).hash, &&k, 0, now).is_some()
}

#[test]
fn small_capacities_hold_exactly_what_they_say() {
    for (policy, capacity) in
        POLICIES.into_iter().flat_map(|policy| (1..=40_u64).map(move |capacity| (policy, capacity)))
    {
        let memory = memory(policy, Bound::Entries(capacity));
        for k in 0..10 * capacity {
            put(&memory, k, entry(k, NEVER, 1));
            assert!(finds(&memory, k, 0), "what was just put is there, with a capacity of {capacity} and {policy:?}");
        }
        assert_eq!(memory.len(), capacity);
        assert_eq!(memory.weight(), capacity);
    }
}

#[test]
fn a_large_capacity_is_used_but_for_what_chance_leaves_over_in_a_shard() {
    for policy in POLICIES {
        let memory = memory(policy, Bound::Entries(10_000));
        (0..100_000).for_each(|k| put(&memory, k, entry(k, NEVER, 1)));
        assert!((9_900..=10_000).contains(&memory.len()), "{} with {policy:?}", memory.len());
    }
}

#[test]
fn the_heaviest_entry_that_is_admitted_fits() {
    let bounds = [(1_000, 1_000), (1_000, 62), (1 << 20, 1 << 16), (100, 50), (17, 1), (1, 1)];
    for (policy, (max, max_entry)) in POLICIES.into_iter().flat_map(|policy| bounds.map(|bound| (policy, bound))) {
        let memory = memory(policy, Bound::Weight { max, max_entry });
        assert!(memory.admits(max_entry));
        assert!(!memory.admits(max_entry + 1));
        put(&memory, 1, entry(1, NEVER, u32::try_from(max_entry).unwrap()));
        assert!(finds(&memory, 1, 0), "an entry of {max_entry} in {max}");
        (2..500).for_each(|k| put(&memory, k, entry(k, NEVER, 1)));
        assert!(memory.weight() <= max, "{} of {max}", memory.weight());
    }
}

#[test]
fn the_wheel_remembers_no_more_than_there_is() {
    for policy in POLICIES {
        let memory = memory(policy, Bound::Entries(100));
        for k in 0..10_000 {
            let moving = (k % 2 == 0).then(|| Moving::new(50, 1_000 + k, NEVER));
            put(&memory, k, moving_entry(k, 5_000 + k, 1, moving));
            finds(&memory, k, 2_000 + k);
            finds(&memory, k / 2, k);
        }
        assert_eq!(memory.remembered_for_expiry() as u64, memory.len());
        memory.sweep(NEVER - 1);
        assert_eq!(memory.len(), 0);
        assert_eq!(memory.remembered_for_expiry(), 0);
    }
}

#[test]
fn a_sweep_frees_the_dead_and_leaves_the_renewed() {
    for policy in POLICIES {
        let memory = memory(policy, Bound::Entries(1_000));
        for k in 0..100 {
            put(&memory, k, moving_entry(k, NEVER, 1, Some(Moving::new(100, 100, NEVER))));
        }
        assert!((0..50).all(|k| finds(&memory, k, 90)));
        memory.sweep(150);
        assert_eq!(memory.len(), 50, "the others were not hit");
        memory.sweep(250);
        assert_eq!(memory.len(), 0, "nor were these, since");
    }
}

#[test]
fn values_are_dropped_and_told_of_where_no_lock_is_held() {
    // A value whose `Drop`, and a listener that, use the cache: under a lock either would hang.
    type Shared = Arc<Mutex<Option<Arc<Memory<u64, Curious>>>>>;
    #[derive(Clone)]
    struct Curious(Shared);
    impl Drop for Curious {
        fn drop(&mut self) {
            if let Some(memory) = self.0.lock().unwrap().clone() {
                (0..20).for_each(|k| memory.evict(key(1_000 + k).hash, &&(1_000 + k)));
            }
        }
    }

    for policy in POLICIES {
        let shared: Shared = Arc::default();
        let told = Arc::new(Mutex::new(0));
        let listener: Listener<u64, Curious> = {
            let (shared, told) = (Arc::clone(&shared), Arc::clone(&told));
            Arc::new(move |k, _, _| {
                if let Some(memory) = shared.lock().unwrap().clone() {
                    memory.evict(key(k + 5_000).hash, &&(k + 5_000));
                }
                *told.lock().unwrap() += 1;
            })
        };
        let memory = Arc::new(Memory::new(policy, Bound::Entries(50), 10, Some(listener), Arc::default()));
        *shared.lock().unwrap() = Some(Arc::clone(&memory));
        for k in 0..500 {
            let terms = Terms { deadline: 100, moving: None, generation: 0, weight: 1 };
            let mut removed = Removed::default();
            memory.insert(key(k), Entry { kept: Kept::Value(Curious(Arc::clone(&shared))), terms }, &mut removed);
            memory.release(removed);
        }
        memory.sweep(200);
        assert_eq!(*told.lock().unwrap(), 500);
        *shared.lock().unwrap() = None;
    }
}
