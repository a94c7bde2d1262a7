//! What every policy owes, and what is its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use hybridcache::{Cache, Clock, Policy, RemovalReason, cached};
use hybridcache_tests::{INSTANT, MINUTE, POLICIES, Random, SECOND, in_time};

/// Which of these keys are there, by looks that change nothing.
fn present(cache: &Cache<u64, u64>, keys: impl IntoIterator<Item = u64>) -> Vec<u64> {
    keys.into_iter().filter(|key| cache.blocking().contains(key)).collect()
}

fn of_three(policy: Policy) -> Cache<u64, u64> {
    let cache: Cache<u64, u64> = Cache::builder("three").capacity(3).policy(policy).build().unwrap();
    (1..=3).for_each(|key| cache.blocking().insert(&key, key).unwrap());
    cache
}

#[test]
fn each_policy_chooses_who_leaves() {
    let stay = [
        (Policy::Lru, [1, 3, 4], "2 was not used for longest"),
        (Policy::Lfu, [1, 3, 4], "2 and 3 are used least, and 2 was used before 3"),
        (Policy::Fifo, [2, 3, 4], "1 has been there longest"),
        (Policy::Clock, [1, 3, 4], "1 was used and has another chance, 2 has not"),
        (Policy::Mru, [2, 3, 4], "1 was used last"),
    ];
    for (policy, stay, because) in stay {
        let cache = of_three(policy);
        assert_eq!((cache.blocking().get(&1), cache.blocking().get(&1)), (Some(1), Some(1)));
        cache.blocking().insert(&4, 4).unwrap();
        assert_eq!(present(&cache, 1..=4), stay, "{policy:?}: {because}");
    }
}

#[test]
fn a_look_saves_nobody() {
    for policy in [Policy::Lru, Policy::Lfu, Policy::Clock] {
        let cache = of_three(policy);
        assert_eq!(cache.blocking().peek(&1), Some(1));
        cache.blocking().insert(&4, 4).unwrap();
        assert_eq!(present(&cache, 1..=4), [2, 3, 4], "{policy:?}");
    }
}

#[test]
fn what_is_used_again_and_again_outlives_a_scan_with_lfu() {
    let cache: Cache<u64, u64> = Cache::builder("scanned").capacity(30).policy(Policy::Lfu).build().unwrap();
    for _ in 0..20 {
        (0..20).for_each(|key| _ = cache.blocking().get_or_load(&key, || key));
    }
    (100..200).for_each(|key| _ = cache.blocking().get_or_load(&key, || key));
    assert_eq!(present(&cache, 0..20).len(), 20);
}

#[test]
fn a_loop_over_more_than_fits_hits_with_mru_and_never_with_lru() {
    let hits = |policy| {
        let cache: Cache<u64, u64> = Cache::builder("loop").capacity(50).policy(policy).build().unwrap();
        (0..10).for_each(|_| (0..60).for_each(|key| _ = cache.blocking().get_or_load(&key, || key)));
        cache.stats().hits
    };
    assert_eq!(hits(Policy::Lru), 0);
    assert!(hits(Policy::Mru) > 9 * 45, "{} of 540 in the rounds after the first", hits(Policy::Mru));
}

#[test]
fn an_attribute_names_its_policy() {
    #[cached(policy = lru, capacity = 2)]
    fn recent(id: u64) -> u64 {
        id
    }

    #[cached(policy = fifo, capacity = 2)]
    fn oldest(id: u64) -> u64 {
        id
    }

    let left = |function: fn(u64) -> u64| [1, 2, 1, 3].map(function);
    assert_eq!((left(recent), left(oldest)), ([1, 2, 1, 3], [1, 2, 1, 3]));
    assert_eq!((present(&recent::cache(), 1..=3), present(&oldest::cache(), 1..=3)), (vec![1, 3], vec![2, 3]));
}

#[test]
fn entries_expire_and_are_swept() {
    for policy in POLICIES {
        let clock = Clock::manual();
        let builder = Cache::builder("expiring").policy(policy).capacity(1_000).clock(clock.clone());
        let cache: Cache<u64, u64> = builder.ttl(MINUTE).sweep_interval(SECOND).build().unwrap();
        let plain = cache.blocking();
        (0..500).for_each(|key| plain.insert(&key, key).unwrap());
        clock.advance(MINUTE - INSTANT);
        assert_eq!(present(&cache, 0..500).len(), 500, "{policy:?}");
        clock.advance(INSTANT);
        assert_eq!((plain.get(&7), present(&cache, 0..500).len()), (None, 0), "{policy:?}: dead at once");
        assert_eq!(plain.get_or_load(&7, || 8), 8, "{policy:?}: a dead entry is loaded again");
        clock.advance(2 * SECOND);
        cache.sweep();
        assert_eq!((cache.len(), plain.get(&7)), (1, Some(8)), "{policy:?}: only the dead are swept");
    }
}

#[test]
fn hits_renew_a_sliding_life() {
    for policy in POLICIES {
        let clock = Clock::manual();
        let builder = Cache::builder("sliding").policy(policy).clock(clock.clone());
        let cache: Cache<u64, u64> = builder.sliding(MINUTE).sweep_interval(SECOND).build().unwrap();
        cache.blocking().insert(&1, 1).unwrap();
        cache.blocking().insert(&2, 2).unwrap();
        for _ in 0..100 {
            clock.advance(MINUTE / 2);
            cache.sweep();
            assert_eq!(cache.blocking().get(&1), Some(1), "{policy:?}");
        }
        assert_eq!((cache.blocking().get(&2), cache.len()), (None, 1), "{policy:?}");
    }
}

#[test]
fn the_listener_is_told_why_each_value_left() {
    for policy in POLICIES {
        let told: Arc<Mutex<Vec<(u64, u64, RemovalReason)>>> = Arc::default();
        let tell = Arc::clone(&told);
        let clock = Clock::manual();
        let cache: Cache<u64, u64> = Cache::builder("told")
            .policy(policy)
            .capacity(2)
            .ttl(MINUTE)
            .sweep_interval(SECOND)
            .clock(clock.clone())
            .on_eviction(move |key: &u64, value: &u64, reason| tell.lock().unwrap().push((*key, *value, reason)))
            .build()
            .unwrap();
        let plain = cache.blocking();
        let take = || std::mem::take(&mut *told.lock().unwrap());
        plain.insert(&1, 10).unwrap();
        plain.insert(&1, 11).unwrap();
        assert_eq!(take(), [(1, 10, RemovalReason::Replaced)], "{policy:?}");
        plain.evict(&1).unwrap();
        assert_eq!(take(), [(1, 11, RemovalReason::Explicit)], "{policy:?}");
        (1..=3).for_each(|key| plain.insert(&key, key).unwrap());
        let pushed_out = take();
        assert_eq!(pushed_out.len(), 1, "{policy:?}");
        assert_eq!(pushed_out[0].2, RemovalReason::Capacity, "{policy:?}");
        assert_ne!(pushed_out[0].0, 3, "{policy:?}: a newcomer stays");
        clock.advance(MINUTE + 2 * SECOND);
        cache.sweep();
        assert!(take().iter().map(|told| told.2).eq([RemovalReason::Expired; 2]), "{policy:?}");
        (0..2).for_each(|key| plain.insert(&key, key).unwrap());
        plain.clear().unwrap();
        assert!(take().iter().map(|told| told.2).eq([RemovalReason::Explicit; 2]), "{policy:?}");
    }
}

#[test]
fn weights_are_kept_within_their_bound() {
    for policy in POLICIES {
        let builder = Cache::builder("weighed").policy(policy).max_weight(10_000).max_entry_weight(500);
        let cache: Cache<u64, u64> = builder.weigher(|_, value| *value).build().unwrap();
        let plain = cache.blocking();
        let mut random = Random::seeded(7);
        for key in 0..5_000 {
            let weight = random.below(500) + 1;
            plain.insert(&key, weight).unwrap();
            assert_eq!(plain.peek(&key), Some(weight), "{policy:?}: whatever may weigh so much is kept");
            assert!(cache.weight() <= 10_000, "{policy:?}: {}", cache.weight());
        }
        assert!(cache.weight() >= 7_000, "{policy:?}: {}", cache.weight());
        let held: u64 = (0..5_000).filter_map(|key| plain.peek(&key)).sum();
        assert_eq!(cache.weight(), held, "{policy:?}");
        plain.insert(&1, 501).unwrap();
        assert_eq!((plain.peek(&1), cache.stats().evictions.rejected), (None, 1), "{policy:?}: too heavy");
    }
}

#[test]
fn a_heavy_newcomer_pushes_out_as_many_as_it_takes() {
    for policy in POLICIES {
        let builder = Cache::builder("heavy").policy(policy).max_weight(100).max_entry_weight(90);
        let cache: Cache<u64, u64> = builder.weigher(|_, value| *value).build().unwrap();
        (0..100).for_each(|key| cache.blocking().insert(&key, 1).unwrap());
        cache.blocking().insert(&1_000, 90).unwrap();
        assert_eq!(cache.blocking().peek(&1_000), Some(90), "{policy:?}");
        assert!(cache.weight() <= 100 && cache.len() <= 11, "{policy:?}: {}", cache.len());
    }
}

#[test]
fn keys_are_looked_up_by_what_is_borrowed() {
    for policy in POLICIES {
        let cache: Cache<(String, u64), String> =
            Cache::builder("borrowed").policy(policy).capacity(1_000).build().unwrap();
        let plain = cache.blocking();
        for key in 0..300 {
            let name = format!("customer {key}");
            assert_eq!(plain.get_or_load((&*name, &key), || name.clone()), name);
        }
        for key in 0..300 {
            let name = format!("customer {key}");
            assert_eq!(plain.get((&*name, &key)).as_ref(), Some(&name), "{policy:?}");
            assert_eq!(plain.get((&*name, &(key + 1))), None, "{policy:?}");
        }
        plain.evict(("customer 7", &7)).unwrap();
        assert_eq!((plain.get(("customer 7", &7)), cache.len()), (None, 299), "{policy:?}");
    }
}

#[test]
fn a_clear_leaves_nothing_and_the_cache_goes_on() {
    for policy in POLICIES {
        let cache: Cache<u64, u64> = Cache::builder("cleared").policy(policy).capacity(5_000).build().unwrap();
        for round in 1..=3 {
            (0..20_000).for_each(|key| cache.blocking().insert(&key, key).unwrap());
            assert!(cache.len() > 4_500, "{policy:?}, round {round}: {}", cache.len());
            cache.blocking().clear().unwrap();
            assert_eq!((cache.len(), cache.weight()), (0, 0), "{policy:?}, round {round}");
            assert!(present(&cache, 0..20_000).is_empty(), "{policy:?}");
        }
    }
}

/// Two threads load, one writes to the source and evicts, all of it in a cache that is too small: once an evict has
/// returned, nobody is given what was there before it.
#[test]
fn an_evict_is_never_undone() {
    const KEYS: u64 = 64;
    for policy in POLICIES {
        in_time(move || {
            let cache: Cache<u64, u64> = Cache::builder("raced").policy(policy).capacity(48).build().unwrap();
            let source: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
            // What an evict that has returned vouches for.
            let evicted: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
            let done = AtomicU64::new(0);
            thread::scope(|scope| {
                for reader in 1..=2 {
                    let (cache, source, evicted, done) = (&cache, &source, &evicted, &done);
                    scope.spawn(move || {
                        let mut random = Random::seeded(reader);
                        while done.load(Ordering::SeqCst) == 0 {
                            let key = random.below(KEYS);
                            let least = evicted[key as usize].load(Ordering::SeqCst);
                            let load = || source[key as usize].load(Ordering::SeqCst);
                            let found = cache.blocking().get_or_load(&key, load);
                            assert!(found >= least, "{policy:?}: {found} of key {key} after {least} was written");
                        }
                    });
                }
                let mut random = Random::seeded(99);
                for number in 1..=20_000 {
                    let key = random.below(KEYS);
                    source[key as usize].store(number, Ordering::SeqCst);
                    cache.blocking().evict(&key).unwrap();
                    evicted[key as usize].store(number, Ordering::SeqCst);
                }
                done.store(1, Ordering::SeqCst);
            });
            assert!(cache.len() <= 48);
        });
    }
}

/// Threads that hit all the time, in one shard, and one that writes there: all of them get on.
#[test]
fn neither_hits_nor_writes_starve() {
    for policy in POLICIES {
        in_time(move || {
            let cache: Cache<u64, u64> = Cache::builder("busy").policy(policy).capacity(32).build().unwrap();
            cache.blocking().insert(&0, 0).unwrap();
            let done = AtomicU64::new(0);
            let hits: u64 = thread::scope(|scope| {
                let hitter = || {
                    let mut hits = 0;
                    while done.load(Ordering::Relaxed) == 0 || hits == 0 {
                        hits += u64::from(cache.blocking().get(&0).is_some());
                        // Where a policy gives it up for the writer's, it is put back.
                        cache.blocking().get_or_load(&0, || 0);
                    }
                    hits
                };
                let hitters: Vec<_> = (0..3).map(|_| scope.spawn(hitter)).collect();
                (0..20_000).for_each(|number| cache.blocking().insert(&(1 + number % 100), number).unwrap());
                done.store(1, Ordering::Relaxed);
                hitters.into_iter().map(|hitter| hitter.join().unwrap()).sum()
            });
            assert!(hits >= 3, "{policy:?}: {hits} hits");
        });
    }
}

#[test]
fn what_is_put_over_is_found_and_counted_once() {
    for policy in POLICIES {
        let cache: Cache<u64, u64> = Cache::builder("replaced").policy(policy).capacity(100).build().unwrap();
        for value in 0..10 {
            (0..50).for_each(|key| cache.blocking().insert(&key, value).unwrap());
            assert!((0..50).all(|key| cache.blocking().get(&key) == Some(value)), "{policy:?}");
            assert_eq!((cache.len(), cache.weight()), (50, 50), "{policy:?}");
        }
        assert_eq!(cache.stats().evictions.replaced, 450, "{policy:?}");
    }
}
