//! The store against a naive model: a map with deadlines, on the same clock.

use std::collections::HashMap;
use std::time::Duration;

use hybridcache::{Cache, Clock, Policy};
use hybridcache_tests::{POLICIES, block_on};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const MILLI: u64 = 1_000_000;

/// One call, with times in milliseconds.
#[derive(Clone, Debug)]
enum Op {
    Insert { key: u8, value: u64 },
    InsertFor { key: u8, value: u64, ttl: u64 },
    Load { key: u8, value: u64 },
    LoadNothing { key: u8 },
    LoadFails { key: u8 },
    Refresh { key: u8, value: u64 },
    RefreshFails { key: u8 },
    RefreshNothing { key: u8 },
    Get { key: u8 },
    GetMany { keys: Vec<u8> },
    LoadMany { keys: Vec<u8>, value: u64 },
    Peek { key: u8 },
    Evict { key: u8 },
    Write { key: u8, value: u64 },
    Clear,
    Advance { by: u64 },
    Sweep,
}

fn ops(keys: u8) -> impl Strategy<Value = Op> {
    let key = move || 0..keys;
    let value = || 0..1_000_u64;
    prop_oneof![
        6 => (key(), value()).prop_map(|(key, value)| Op::Insert { key, value }),
        2 => (key(), value(), 0..5_000_u64).prop_map(|(key, value, ttl)| Op::InsertFor { key, value, ttl }),
        6 => (key(), value()).prop_map(|(key, value)| Op::Load { key, value }),
        1 => key().prop_map(|key| Op::LoadNothing { key }),
        1 => key().prop_map(|key| Op::LoadFails { key }),
        2 => (key(), value()).prop_map(|(key, value)| Op::Refresh { key, value }),
        1 => key().prop_map(|key| Op::RefreshFails { key }),
        1 => key().prop_map(|key| Op::RefreshNothing { key }),
        6 => key().prop_map(|key| Op::Get { key }),
        1 => vec(key(), 0..5).prop_map(|keys| Op::GetMany { keys }),
        1 => (vec(key(), 0..5), value()).prop_map(|(keys, value)| Op::LoadMany { keys, value }),
        4 => key().prop_map(|key| Op::Peek { key }),
        3 => key().prop_map(|key| Op::Evict { key }),
        1 => (key(), value()).prop_map(|(key, value)| Op::Write { key, value }),
        1 => Just(Op::Clear),
        8 => (0..3_000_u64).prop_map(|by| Op::Advance { by }),
        2 => Just(Op::Sweep),
    ]
}

/// How the cache is built, in milliseconds and units of weight.
#[derive(Clone, Debug)]
struct Config {
    ttl: Option<u64>,
    sliding: Option<u64>,
    max_age: Option<u64>,
    cache_none: bool,
    weighed: bool,
    policy: Policy,
}

fn configs() -> impl Strategy<Value = Config> {
    let life = || proptest::option::of(1..6_000_u64);
    let lives = (life(), life(), life());
    (lives, any::<bool>(), any::<bool>(), select(&POLICIES)).prop_map(|(lives, cache_none, weighed, policy)| {
        let (ttl, sliding, max_age) = lives;
        Config { ttl, sliding, max_age: max_age.filter(|_| sliding.is_some()), cache_none, weighed, policy }
    })
}

/// The heaviest that a weighed cache takes in. A value weighs its last two digits.
const HEAVIEST: u64 = 90;

fn weight(value: u64) -> u64 {
    (value % 100).max(1)
}

fn build(config: &Config, bound: u64, clock: &Clock) -> Cache<u8, u64> {
    let mut builder = Cache::builder("model").policy(config.policy).cache_none(config.cache_none).clock(clock.clone());
    builder = builder.sweep_interval(Duration::from_secs(1));
    if let Some(ttl) = config.ttl {
        builder = builder.ttl(Duration::from_millis(ttl));
    }
    if let Some(idle) = config.sliding {
        builder = builder.sliding(Duration::from_millis(idle));
    }
    if let Some(max_age) = config.max_age {
        builder = builder.max_age(Duration::from_millis(max_age));
    }
    if config.weighed {
        builder = builder.max_weight(bound * 100).max_entry_weight(HEAVIEST).weigher(|_, value| weight(*value));
    } else {
        builder = builder.capacity(bound);
    }
    builder.build().unwrap()
}

/// What the cache should hold, by key.
struct Model {
    config: Config,
    now: u64,
    held: HashMap<u8, Held>,
    inserted: u64,
    rejected: u64,
    reads: u64,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    value: Option<u64>,
    ends: u64,
    idle_ends: u64,
    slides: bool,
}

impl Held {
    fn dies_at(&self) -> u64 {
        self.ends.min(self.idle_ends)
    }
}

impl Model {
    fn new(config: &Config) -> Self {
        Self { config: config.clone(), now: 0, held: HashMap::new(), inserted: 0, rejected: 0, reads: 0 }
    }

    fn live(&self, key: u8) -> Option<Held> {
        self.held.get(&key).copied().filter(|held| self.now < held.dies_at())
    }

    /// A hit, of a value or of nothing.
    fn hit(&mut self, key: u8) -> Option<Held> {
        let found = self.live(key)?;
        if found.slides {
            let idle = self.config.sliding.unwrap() * MILLI;
            self.held.get_mut(&key).unwrap().idle_ends = self.now + idle;
        }
        Some(found)
    }

    fn keep(&mut self, key: u8, value: Option<u64>, own_ttl: Option<u64>) {
        self.held.remove(&key);
        if value.is_some_and(|value| self.config.weighed && weight(value) > HEAVIEST) {
            if own_ttl != Some(0) {
                self.rejected += 1;
            }
            return;
        }
        if own_ttl == Some(0) || (value.is_none() && !self.config.cache_none) {
            return;
        }
        let until = |lifetime: Option<u64>| lifetime.map_or(u64::MAX, |lifetime| self.now + lifetime * MILLI);
        let own = until(self.config.ttl).min(until(self.config.max_age));
        let idle = until(self.config.sliding);
        let held = match (value, own_ttl) {
            (Some(_), Some(_)) => Held { value, ends: until(own_ttl), idle_ends: u64::MAX, slides: false },
            (Some(_), None) => Held { value, ends: own, idle_ends: idle, slides: self.config.sliding.is_some() },
            (None, _) => Held { value, ends: own.min(idle), idle_ends: u64::MAX, slides: false },
        };
        self.inserted += 1;
        self.held.insert(key, held);
    }
}

/// Does one call to both. Whatever the cache finds has to be what the model has; `exact` says that it must find all of
/// it.
fn step(op: &Op, cache: &Cache<u8, u64>, clock: &Clock, model: &mut Model, exact: bool) -> Result<(), TestCaseError> {
    let plain = cache.blocking();
    // Where the cache may have given an entry up, what it did not find the model forgets.
    let same = |model: &mut Model, key: u8, found: Option<u64>, expected: Option<u64>| {
        if exact || found.is_some() {
            prop_assert_eq!(found, expected, "key {}", key);
        } else if expected.is_some() {
            model.held.remove(&key);
        }
        Ok(())
    };
    match op {
        Op::Insert { key, value } => {
            plain.insert(key, *value).unwrap();
            model.keep(*key, Some(*value), None);
        }
        Op::InsertFor { key, value, ttl } => {
            block_on(cache.insert_with(key, *value, |context| context.ttl(Duration::from_millis(*ttl)))).unwrap();
            model.keep(*key, Some(*value), Some(*ttl));
        }
        Op::Load { key, value } => {
            model.reads += 1;
            let mut ran = false;
            let loaded = plain.get_or_load(key, || {
                ran = true;
                *value
            });
            let expected = model.hit(*key).and_then(|held| held.value);
            match (ran, expected) {
                (false, Some(expected)) => prop_assert_eq!(loaded, expected),
                (false, None) => prop_assert!(false, "a hit of {} where there is nothing to hit", loaded),
                (true, expected) => {
                    prop_assert!(!exact || expected.is_none(), "no hit of {:?}", expected);
                    prop_assert_eq!(loaded, *value);
                    // A function that cannot say «nothing» loads, though nothing is kept. Its value ends that,
                    // even if it is not kept.
                    model.keep(*key, Some(*value), None);
                }
            }
        }
        Op::LoadNothing { key } => {
            model.reads += 1;
            let mut ran = false;
            let loaded: Option<u64> = plain.get_or_load(key, || {
                ran = true;
                None
            });
            match (ran, model.hit(*key)) {
                (false, Some(held)) => prop_assert_eq!(loaded, held.value),
                (false, None) => prop_assert!(false, "a hit of {:?} where there is nothing to hit", loaded),
                (true, expected) => {
                    prop_assert!(!exact || expected.is_none(), "no hit of {:?}", expected);
                    model.keep(*key, None, None);
                }
            }
        }
        Op::LoadFails { key } => {
            model.reads += 1;
            let loaded: Result<u64, ()> = plain.get_or_load(key, || Err(()));
            let expected = model.hit(*key).and_then(|held| held.value);
            same(model, *key, loaded.ok(), expected)?;
        }
        Op::Refresh { key, value } => {
            prop_assert_eq!(plain.refresh(key, || *value), *value);
            model.keep(*key, Some(*value), None);
        }
        Op::RefreshFails { key } => {
            prop_assert_eq!(plain.refresh(key, || Err::<u64, _>(())), Err(()));
        }
        Op::RefreshNothing { key } => {
            prop_assert_eq!(plain.refresh(key, || None::<u64>), None);
            model.keep(*key, None, None);
        }
        Op::Get { key } => {
            model.reads += 1;
            let expected = model.hit(*key).and_then(|held| held.value);
            same(model, *key, plain.get(key), expected)?;
        }
        Op::GetMany { keys } => {
            for (key, found) in keys.iter().zip(block_on(cache.get_many(keys))) {
                model.reads += 1;
                let expected = model.hit(*key).and_then(|held| held.value);
                same(model, *key, found, expected)?;
            }
        }
        Op::LoadMany { keys, value } => {
            let mut missing = Vec::new();
            let found = block_on(cache.get_many_or_load(keys, |keys| {
                missing.clone_from(&keys);
                async { Ok::<_, ()>(keys.into_iter().map(|key| (key, *value)).collect()) }
            }));
            model.reads += keys.len() as u64;
            let mut asked = Vec::new();
            for (key, found) in keys.iter().zip(found.unwrap()) {
                let expected = model.hit(*key);
                if missing.contains(key) {
                    prop_assert!(!exact || expected.is_none(), "no hit of {:?}", expected);
                    prop_assert_eq!(found, Some(*value));
                    if !asked.contains(key) {
                        asked.push(*key);
                    }
                } else {
                    prop_assert!(expected.is_some());
                    prop_assert_eq!(found, expected.and_then(|held| held.value));
                }
            }
            prop_assert_eq!(&missing, &asked, "each key once, in their order");
            for key in missing {
                model.keep(key, Some(*value), None);
            }
        }
        Op::Peek { key } => {
            let expected = model.live(*key).and_then(|held| held.value);
            prop_assert_eq!(plain.contains(key), plain.peek(key).is_some());
            same(model, *key, plain.peek(key), expected)?;
        }
        Op::Evict { key } => {
            plain.evict(key).unwrap();
            model.held.remove(key);
        }
        Op::Write { key, value } => {
            plain.write(key).unwrap().put_blocking(*value).unwrap();
            model.keep(*key, Some(*value), None);
        }
        Op::Clear => {
            plain.clear().unwrap();
            model.held.clear();
        }
        Op::Advance { by } => {
            clock.advance(Duration::from_millis(*by));
            model.now += by * MILLI;
        }
        Op::Sweep => {
            cache.sweep();
            let second = 1_000 * MILLI;
            model.held.retain(|_, held| held.dies_at().saturating_add(second) > model.now);
            prop_assert!(
                cache.len() <= model.held.len() as u64,
                "{} are held, {} may be",
                cache.len(),
                model.held.len()
            );
        }
    }
    Ok(())
}

/// What is counted adds up: whatever came in left or is there.
fn adds_up(cache: &Cache<u8, u64>, model: &Model) -> Result<(), TestCaseError> {
    let stats = cache.stats();
    let left = stats.evictions.expired + stats.evictions.capacity + stats.evictions.explicit + stats.evictions.replaced;
    prop_assert_eq!(left + stats.entries, model.inserted);
    prop_assert_eq!(stats.evictions.rejected, model.rejected);
    prop_assert_eq!(stats.hits + stats.misses, model.reads);
    prop_assert_eq!(stats.entries, cache.len());
    prop_assert_eq!(stats.weight, cache.weight());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_that_is_large_enough_is_a_map_with_deadlines(config in configs(), calls in vec(ops(24), 1..200)) {
        let clock = Clock::manual();
        let cache = build(&config, 10_000, &clock);
        let mut model = Model::new(&config);
        for op in &calls {
            step(op, &cache, &clock, &mut model, true)?;
            let live = model.held.keys().filter(|key| model.live(**key).is_some()).count() as u64;
            prop_assert!(cache.len() >= live);
        }
        prop_assert_eq!(cache.stats().evictions.capacity, 0);
        adds_up(&cache, &model)?;
        // In the end all that ends is freed.
        clock.advance(Duration::from_secs(3_600));
        model.now += 3_600_000 * MILLI;
        step(&Op::Sweep, &cache, &clock, &mut model, true)?;
        prop_assert_eq!(cache.len(), model.held.len() as u64);
    }

    #[test]
    fn a_small_store_keeps_its_bound_and_what_it_finds_is_right(
        config in configs(),
        bound in 1..20_u64,
        calls in vec(ops(60), 1..300),
    ) {
        let clock = Clock::manual();
        let cache = build(&config, bound, &clock);
        let mut model = Model::new(&config);
        for op in &calls {
            step(op, &cache, &clock, &mut model, false)?;
            if config.weighed {
                prop_assert!(cache.weight() <= bound * 100, "weight {} of {}", cache.weight(), bound * 100);
            } else {
                prop_assert!(cache.len() <= bound, "{} of {}", cache.len(), bound);
                prop_assert_eq!(cache.len(), cache.weight());
            }
        }
        adds_up(&cache, &model)?;
    }
}
