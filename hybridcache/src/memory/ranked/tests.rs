//! Each policy against a model that does the same naively: everybody in one vector, searched from end to end.

use std::collections::HashMap;
use std::thread;

use parking_lot::RwLock;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::entry::{Entry, Kept, Terms};
use crate::key::Stored;
use crate::memory::filed::Any;
use crate::memory::wheel::NOWHERE;
use crate::time::NEVER;

/// Those with a model.
const MODELLED: [Policy; 5] = [Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Mru, Policy::Clock];
const POLICIES: [Policy; 6] = [Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Mru, Policy::Clock, Policy::Adaptive];

/// Two keys each share a hash.
fn hash(key: u64) -> u64 {
    (key / 2).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn filed(key: u64, weight: u32) -> Filed<u64> {
    let terms = Terms { deadline: NEVER, moving: None, generation: 0, weight };
    Filed::new(Stored { hash: hash(key), key }, Entry { kept: Kept::Value(key), terms }, NOWHERE).0
}

type Store = Ranked<u64, u64>;

fn store(policy: Policy, max_weight: u64) -> Store {
    Store::all(policy, max_weight, 1).next().expect("one was asked for")
}

/// A hit, and what a cache does then.
fn get(store: &mut Store, key: u64) -> Option<u64> {
    let mut unsettled = false;
    let found = store.hit(hash(key), &Any { hash: hash(key), key: &key }, &mut unsettled).copied();
    if unsettled {
        store.settle();
    }
    found.map(Option::unwrap)
}

fn take(store: &mut Store, key: u64) -> Option<u64> {
    store.take(hash(key), &Any { hash: hash(key), key: &key }).map(|(filed, _)| filed.key.key)
}

/// Puts an entry in; returns whether one of its key was there, and who made room for it.
fn put(store: &mut Store, key: u64, weight: u32) -> (bool, Vec<u64>) {
    let (mut present, mut left) = (false, Vec::new());
    store.insert(filed(key, weight), Some(key + 1_000), |filed, _, why| match why {
        Why::Displaced => present = true,
        Why::Known(_) => left.push(filed.key.key),
    });
    (present, left)
}

/// Everybody, the one who moved last in front.
struct Model {
    policy: Policy,
    held: Vec<Held>,
    max_weight: u64,
    /// The level of the last that left, for `lfu`.
    age: u64,
}

#[derive(Clone, Debug)]
struct Held {
    key: u64,
    weight: u64,
    /// Since it came; or since the hand passed, for `clock`.
    uses: u64,
    level: u64,
}

impl Model {
    fn new(policy: Policy, max_weight: u64) -> Self {
        Self { policy, held: Vec::new(), max_weight, age: 0 }
    }

    fn place(&self, key: u64) -> Option<usize> {
        self.held.iter().position(|held| held.key == key)
    }

    fn take(&mut self, key: u64) -> Option<Held> {
        self.place(key).map(|place| self.held.remove(place))
    }

    fn hit(&mut self, key: u64) -> bool {
        let Some(place) = self.place(key) else { return false };
        let mut held = self.held.remove(place);
        held.uses = (held.uses + 1).min(63);
        held.level = self.age + held.uses;
        let place = if matches!(self.policy, Policy::Fifo | Policy::Clock) { place } else { 0 };
        self.held.insert(place, held);
        true
    }

    fn put(&mut self, key: u64, weight: u64) -> (bool, Vec<u64>) {
        let present = self.place(key);
        if let Some(place) = present {
            if self.weight() - self.held[place].weight + weight <= self.max_weight {
                self.held[place].weight = weight;
                return (self.hit(key), Vec::new());
            }
            self.held.remove(place);
        }
        let present = present.is_some();
        if weight > self.max_weight {
            return (present, vec![key]);
        }
        let mut left = Vec::new();
        while self.weight() + weight > self.max_weight {
            left.push(self.evict());
        }
        let uses = u64::from(self.policy == Policy::Lfu);
        self.held.insert(0, Held { key, weight, uses, level: self.age + uses });
        (present, left)
    }

    fn evict(&mut self) -> u64 {
        let last = self.held.len() - 1;
        let place = match self.policy {
            Policy::Lru | Policy::Fifo => last,
            Policy::Mru => 0,
            Policy::Lfu => (0..=last).rev().min_by_key(|&place| self.held[place].level).unwrap(),
            Policy::Clock => {
                while self.held[last].uses > 0 {
                    let mut passed = self.held.remove(last);
                    passed.uses = 0;
                    self.held.insert(0, passed);
                }
                last
            }
            Policy::Adaptive | Policy::S3Fifo => unreachable!("has no model"),
        };
        let held = self.held.remove(place);
        self.age = held.level;
        held.key
    }

    fn weight(&self) -> u64 {
        self.held.iter().map(|held| held.weight).sum()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Get(u64),
    Peek(u64),
    Put(u64, u32),
    Take(u64),
    Drain,
}

/// The product of two uniform numbers is skewed to the small ones: some keys are used often.
fn ops(keys: u64) -> impl Strategy<Value = Op> {
    let key = move || (0..keys, 0..keys).prop_map(move |(a, b)| a * b / keys);
    prop_oneof![
        60 => key().prop_map(Op::Get),
        10 => key().prop_map(Op::Peek),
        40 => (key(), 1..5_u32).prop_map(|(key, weight)| Op::Put(key, weight)),
        10 => key().prop_map(Op::Take),
        1 => Just(Op::Drain),
    ]
}

fn agree(policy: Policy, max_weight: u64, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut store = store(policy, max_weight);
    let mut model = Model::new(policy, max_weight);
    for op in ops {
        match *op {
            Op::Get(key) => {
                let found = model.hit(key).then_some(key + 1_000);
                prop_assert_eq!(get(&mut store, key), found, "{:?} of {}", policy, key);
            }
            Op::Peek(key) => {
                let found = model.place(key).map(|_| key + 1_000);
                prop_assert_eq!(
                    store.peek(hash(key), &Any { hash: hash(key), key: &key }).copied().map(Option::unwrap),
                    found
                );
            }
            Op::Put(key, weight) => {
                prop_assert_eq!(
                    put(&mut store, key, weight),
                    model.put(key, weight.into()),
                    "{:?} for {}",
                    policy,
                    key
                );
            }
            Op::Take(key) => {
                prop_assert_eq!(take(&mut store, key), model.take(key).map(|held| held.key));
            }
            Op::Drain => {
                let drained = store.drain();
                let drained = drained.map(|(filed, _)| model.take(filed.key.key).expect("what is drained was there"));
                drained.for_each(drop);
                prop_assert_eq!(model.held.len(), 0);
                model = Model::new(policy, max_weight);
            }
        }
        store.validate();
        prop_assert_eq!((store.len(), store.weight()), (model.held.len(), model.weight()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_shards_do_what_the_model_does(max_weight in 1..40_u64, ops in vec(ops(40), 1..300)) {
        for policy in MODELLED {
            agree(policy, max_weight, &ops)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// Over the borders of pages, and with more hits between two writes than are noted.
    #[test]
    fn larger_shards_do_what_the_model_does(max_weight in 200..900_u64, ops in vec(ops(900), 1_000..3_000)) {
        for policy in MODELLED {
            agree(policy, max_weight, &ops)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever leaves: it was there, and it is not the newcomer, unless that is too heavy for all of the shard.
    #[test]
    fn adaptive_keeps_its_bound_and_the_newcomer(max_weight in 1..200_u64, ops in vec(ops(300), 1..2_000)) {
        let mut store = store(Policy::Adaptive, max_weight);
        let mut held = HashMap::new();
        for op in ops {
            match op {
                Op::Get(key) | Op::Peek(key) => {
                    prop_assert_eq!(get(&mut store, key), held.get(&key).map(|_| key + 1_000));
                }
                Op::Put(key, weight) => {
                    let (present, left) = put(&mut store, key, weight);
                    prop_assert_eq!(present, held.insert(key, weight).is_some());
                    for left in left {
                        prop_assert!(held.remove(&left).is_some());
                        prop_assert!(left != key || u64::from(weight) > max_weight);
                    }
                }
                Op::Take(key) => prop_assert_eq!(take(&mut store, key), held.remove(&key).map(|_| key)),
                Op::Drain => {
                    for (filed, _) in store.drain() {
                        held.remove(&filed.key.key).expect("what is drained was there");
                    }
                }
            }
            store.validate();
            let weight: u64 = held.values().map(|&weight| u64::from(weight)).sum();
            prop_assert_eq!((store.len(), store.weight()), (held.len(), weight));
        }
    }
}

/// The share of hits of a stream of keys, in per cent.
fn hit_ratio(policy: Policy, keys: impl Iterator<Item = u64>) -> f64 {
    let mut stores: Vec<Store> = Store::all(policy, 500, 2).collect();
    let (mut hits, mut requests) = (0_u32, 0_u32);
    for key in keys {
        requests += 1;
        let store = &mut stores[(hash(key * 2) >> 32) as usize % 2];
        if get(store, key * 2).is_some() {
            hits += 1;
        } else {
            put(store, key * 2, 1);
        }
    }
    100.0 * f64::from(hits) / f64::from(requests)
}

/// Numbers below `keys`: the product of three uniform ones is skewed to the small ones.
fn skewed(keys: u64) -> impl FnMut() -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    move || {
        let mut below = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        };
        below(keys) * below(keys) / keys * below(keys) / keys
    }
}

#[test]
fn adaptive_is_near_the_best_of_the_others_or_above() {
    const REQUESTS: u64 = 200_000;
    let a_loop = || (0..REQUESTS).map(|i| i % 1_300);
    let popular = || std::iter::repeat_with(skewed(20_000)).take(REQUESTS as usize);
    let with_scans = || {
        let mut popular = skewed(4_000);
        (0..REQUESTS).map(move |i| if i / 3_000 % 3 == 2 { 100_000 + i } else { popular() })
    };
    // Popular for a while only.
    let drifting = || {
        let mut popular = skewed(8_000);
        (0..REQUESTS).map(move |i| popular() + i / 20)
    };
    type Stream<'a> = (&'a str, &'a dyn Fn(Policy) -> f64);
    let streams: [Stream<'_>; 4] = [
        ("a loop", &|policy| hit_ratio(policy, a_loop())),
        ("popular", &|policy| hit_ratio(policy, popular())),
        ("with scans", &|policy| hit_ratio(policy, with_scans())),
        ("drifting", &|policy| hit_ratio(policy, drifting())),
    ];
    for (name, ratio) in streams {
        let best =
            MODELLED.map(|policy| (ratio(policy), policy)).into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        let adaptive = ratio(Policy::Adaptive);
        println!("{name}: {adaptive:.1} %, the best of the others {best:.1?}");
        assert!(adaptive > best.0 - 5.0, "{name}: {adaptive:.1} %, the best of the others {best:.1?}");
    }
}

/// There the default is best, whose main part gives what was asked for another round.
#[test]
fn adaptive_is_near_the_default_where_popularity_lasts() {
    for keys in [8_000, 20_000, 50_000] {
        let popular = || std::iter::repeat_with(skewed(keys)).take(300_000);
        let mut default = quick_cache::unsync::Cache::new(1_000);
        let is_hit = |key: u64| {
            let hit = default.get(&key).is_some();
            if !hit {
                default.insert(key, ());
            }
            hit
        };
        let default = 100.0 * popular().map(is_hit).filter(|hit| *hit).count() as f64 / 300_000.0;
        let adaptive = hit_ratio(Policy::Adaptive, popular());
        println!("{keys} keys: {adaptive:.2} %, the default {default:.2} %");
        assert!(adaptive > default - 0.6, "{keys} keys: {adaptive:.2} %, the default {default:.2} %");
    }
}

/// Where a heavy entry leaves room for few others in its shard, for as long as it stays.
#[test]
fn what_adaptive_has_learned_outlives_the_weights_of_a_shard() {
    let chooser = Arc::<Chooser>::default();
    let order = || Box::new(Adaptive::new(Arc::clone(&chooser)));
    let mut stores: Vec<Store> = (0..4).map(|_| Store::new(order(), 1_000)).collect();
    let (mut trials, mut tried, mut apart) = (0, 0, 0);
    for key in 0..100_000 {
        let weight = if key % 500 == 0 { 950 } else { 1 };
        put(&mut stores[(hash(key * 2) >> 32) as usize % 4], key * 2, weight);
        let lens = || stores.iter().map(Store::len);
        let (entries, now) = chooser.counts();
        assert_eq!(entries, lens().sum::<usize>());
        trials += u32::from(now != tried);
        tried = now;
        apart += u32::from(lens().max() > lens().min().map(|least| 4 * least));
    }
    assert!(apart > 10_000, "{apart}");
    assert!((1..=5).contains(&trials), "the trial was made {trials} times");
    stores[0].drain().for_each(drop);
    stores.pop();
    assert_eq!(chooser.counts().0, stores.iter().map(Store::len).sum::<usize>());
}

#[test]
fn many_hits_in_a_row_are_all_taken_into_account() {
    for policy in MODELLED {
        let ops: Vec<Op> = (0..20)
            .map(|key| Op::Put(key, 1))
            .chain((0..1_000).map(|i| Op::Get(i * i % 23)))
            .chain((20..60).map(|key| Op::Put(key, 1)))
            .collect();
        agree(policy, 20, &ops).unwrap();
    }
}

#[test]
fn an_old_favourite_is_overtaken_in_time() {
    let mut store = store(Policy::Lfu, 10);
    put(&mut store, 0, 1);
    (0..100_000).for_each(|_| assert!(get(&mut store, 0).is_some()));
    let outlived = (1..).take_while(|&key| !put(&mut store, key, 1).1.contains(&0)).count();
    assert!((100..2_000).contains(&outlived), "it outlived {outlived} others that nobody asked for twice");
}

#[test]
fn a_part_of_a_loop_stays_with_mru() {
    let mut store = store(Policy::Mru, 80);
    let mut hits = 0;
    for key in (0..10).flat_map(|_| 0..100) {
        if get(&mut store, key).is_some() {
            hits += 1;
        } else {
            put(&mut store, key, 1);
            assert!(get(&mut store, key).is_some(), "a newcomer is kept until the next comes");
        }
    }
    assert!(hits > 9 * 75, "{hits} hits in the nine rounds after the first");
}

#[test]
fn memory_goes_back_when_entries_leave() {
    for policy in POLICIES {
        let mut store = store(policy, 10_000);
        (0..10_000).for_each(|key| assert!(put(&mut store, key, 1).1.is_empty(), "all fit"));
        let full = store.allocated();
        (100..10_000).for_each(|key| assert_eq!(take(&mut store, key), Some(key)));
        store.validate();
        assert!(store.allocated() * 20 < full, "{policy:?}: {} of {full} bytes", store.allocated());
    }
}

#[test]
fn threads_leave_the_structure_whole() {
    for policy in POLICIES {
        let store = RwLock::new(store(policy, 64));
        thread::scope(|scope| {
            for thread in 0..4_u64 {
                let store = &store;
                scope.spawn(move || {
                    for i in 0..20_000_u64 {
                        let key = (i * (thread + 3)) % 151 * 2 + thread % 2;
                        match i % 16 {
                            // Each thread has keys of its own to put: the memory tier lets one at a time.
                            0..3 => drop(put(&mut store.write(), key * 4 + thread, 1)),
                            3 => drop(take(&mut store.write(), key * 4 + thread)),
                            4 if i % 1_024 == 4 => drop(store.write().drain()),
                            _ => {
                                let key = key * 4 + i % 4;
                                let (mut unsettled, probe) = (false, Any { hash: hash(key), key: &key });
                                let found = store.read().hit(hash(key), &probe, &mut unsettled).copied();
                                assert!(found.is_none_or(|found| found == Some(key + 1_000)));
                                if unsettled && let Some(mut store) = store.try_write() {
                                    store.settle();
                                }
                            }
                        }
                    }
                });
            }
        });
        let store = store.into_inner();
        store.validate();
        assert!(store.weight() <= 64);
    }
}
