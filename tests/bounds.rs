//! How much a cache holds, what it says about what leaves, and the user code it runs on the way.

use std::sync::{Arc, Mutex, OnceLock};

use hybridcache::{Cache, Clock, RemovalReason};
use hybridcache_tests::{Runs, SECOND, in_time};

type Removals = Arc<Mutex<Vec<(u64, u64, RemovalReason)>>>;

/// A listener that notes what it is told.
fn noting() -> (Removals, impl Fn(&u64, &u64, RemovalReason) + Send + Sync + 'static) {
    let removals = Removals::default();
    let noted = Arc::clone(&removals);
    (removals, move |key: &u64, value: &u64, reason| noted.lock().unwrap().push((*key, *value, reason)))
}

#[tokio::test]
async fn capacities_of_one_and_two_hold_one_and_two() {
    for capacity in [1, 2] {
        let cache: Cache<u64, u64> = Cache::builder("small").capacity(capacity).build().unwrap();
        for key in 0..capacity {
            cache.insert(&key, key).await.unwrap();
        }
        for key in 0..capacity {
            assert_eq!(cache.get(&key).await, Some(key), "{capacity} fit");
        }
        for key in 0..1_000 {
            cache.insert(&key, key).await.unwrap();
            assert_eq!(cache.len(), capacity);
        }
        let mut found = 0;
        for key in 0..1_000 {
            found += u64::from(cache.contains(&key).await);
        }
        assert_eq!(found, capacity);
    }
}

#[tokio::test]
async fn a_cache_of_one_serves_what_was_loaded_last() {
    let cache: Cache<u64, u64> = Cache::builder("one").capacity(1).build().unwrap();
    for key in 0..100 {
        assert_eq!(cache.get_or_load(&key, || async { key }).await, key);
        assert_eq!(cache.peek(&key).await, Some(key));
    }
    assert_eq!(cache.stats().evictions.capacity, 99);
}

#[tokio::test]
async fn no_capacity_is_exceeded_and_little_of_it_is_wasted() {
    for capacity in [1, 2, 3, 5, 10, 31, 100, 1_000, 10_000_u64] {
        let cache: Cache<u64, u64> = Cache::builder("bounded").capacity(capacity).build().unwrap();
        for key in 0..capacity * 5 {
            cache.insert(&key, key).await.unwrap();
            assert!(cache.len() <= capacity);
        }
        assert!(cache.len() * 10 >= capacity * 9, "{} of {capacity}", cache.len());
        let stats = cache.stats();
        assert_eq!(stats.entries + stats.evictions.capacity, capacity * 5, "each entry is here or was counted out");
    }
}

#[tokio::test]
async fn weight_is_what_the_weigher_says_and_stays_within_its_bound() {
    let cache: Cache<u64, u64> =
        Cache::builder("heavy").max_weight(1_000).weigher(|_, weight| *weight).build().unwrap();
    let mut random = hybridcache_tests::Random::seeded(7);
    for key in 0..2_000_u64 {
        cache.insert(&key, random.below(60) + 1).await.unwrap();
        assert!(cache.weight() <= 1_000);
    }
    let mut held = 0;
    for key in 0..2_000_u64 {
        held += cache.peek(&key).await.unwrap_or(0);
    }
    assert_eq!((cache.weight(), cache.stats().weight), (held, held));
    assert!(held >= 700, "{held} of 1000");
    cache.clear().await.unwrap();
    assert_eq!(cache.weight(), 0);
}

#[tokio::test]
async fn what_is_too_heavy_is_returned_and_not_kept() {
    let cache: Cache<u64, u64> =
        Cache::builder("sixteenth").max_weight(160).weigher(|_, weight| *weight).build().unwrap();
    assert_eq!(cache.get_or_load(&1, || async { 10 }).await, 10);
    assert_eq!(cache.get_or_load(&2, || async { 11 }).await, 11);
    assert_eq!((cache.peek(&1).await, cache.peek(&2).await), (Some(10), None), "a sixteenth is the most");
    assert_eq!((cache.stats().evictions.rejected, cache.len()), (1, 1));
    cache.insert(&1, 100).await.unwrap();
    assert_eq!((cache.peek(&1).await, cache.weight()), (None, 0), "too heavy to put, and what was there is gone");
}

#[tokio::test]
async fn one_entry_may_fill_the_whole_bound_if_that_is_asked_for() {
    for max in [1, 2, 10, 100, 1_000, 1_000_000_u64] {
        let cache: Cache<u64, u64> =
            Cache::builder("whole").max_weight(max).max_entry_weight(max).weigher(|_, weight| *weight).build().unwrap();
        cache.insert(&1, max).await.unwrap();
        assert_eq!(cache.peek(&1).await, Some(max), "an entry that is allowed in is held, of {max}");
        cache.insert(&2, max).await.unwrap();
        assert_eq!((cache.peek(&1).await, cache.peek(&2).await), (None, Some(max)));
        assert_eq!(cache.weight(), max);
        cache.insert(&3, max + 1).await.unwrap();
        assert_eq!(cache.peek(&3).await, None);
    }
}

#[tokio::test]
async fn an_entry_of_the_most_it_may_weigh_is_held_by_an_empty_cache() {
    for (max, max_entry) in [(160, 10), (100, 50), (100, 99), (1_000, 500), (1_000, 900), (1 << 20, 1 << 16)] {
        let cache: Cache<u64, u64> = Cache::builder("share")
            .max_weight(max)
            .max_entry_weight(max_entry)
            .weigher(|_, weight| *weight)
            .build()
            .unwrap();
        for key in 0..50 {
            cache.insert(&key, max_entry).await.unwrap();
            assert_eq!(cache.peek(&key).await, Some(max_entry), "{max_entry} of {max}");
            cache.clear().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_weighs_nothing_counts_as_one() {
    let cache: Cache<u64, u64> = Cache::builder("light").max_weight(100).weigher(|_, _| 0).build().unwrap();
    for key in 0..1_000_u64 {
        cache.insert(&key, key).await.unwrap();
    }
    assert!(cache.len() <= 100, "or it would grow without end");
    assert_eq!(cache.weight(), cache.len());
}

#[tokio::test]
async fn the_listener_is_told_why_each_value_left() {
    let clock = Clock::manual();
    let (removals, listener) = noting();
    let cache: Cache<u64, u64> = Cache::builder("reasons")
        .ttl(SECOND * 10)
        .sweep_interval(SECOND)
        .capacity(2)
        .cache_none(true)
        .clock(clock.clone())
        .on_eviction(listener)
        .build()
        .unwrap();
    let taken = || std::mem::take(&mut *removals.lock().unwrap());
    cache.insert(&1, 10).await.unwrap();
    cache.insert(&1, 11).await.unwrap();
    assert_eq!(taken(), [(1, 10, RemovalReason::Replaced)]);
    cache.refresh(&1, || async { 12 }).await;
    assert_eq!(taken(), [(1, 11, RemovalReason::Replaced)]);
    cache.evict(&1).await.unwrap();
    cache.evict(&1).await.unwrap();
    assert_eq!(taken(), [(1, 12, RemovalReason::Explicit)]);
    cache.insert(&2, 20).await.unwrap();
    cache.clear().await.unwrap();
    assert_eq!(taken(), [(2, 20, RemovalReason::Explicit)]);
    cache.insert(&3, 30).await.unwrap();
    clock.advance(SECOND * 12);
    assert_eq!(taken(), [], "a dead value has not left yet");
    cache.sweep();
    assert_eq!(taken(), [(3, 30, RemovalReason::Expired)]);
    for key in 4..7_u64 {
        cache.insert(&key, key).await.unwrap();
    }
    assert_eq!(taken().iter().map(|(_, _, reason)| *reason).collect::<Vec<_>>(), [RemovalReason::Capacity]);
    cache.clear().await.unwrap();
    assert_eq!(taken().len(), 2);
    cache.get_or_load(&8, || async { None::<u64> }).await;
    cache.evict(&8).await.unwrap();
    assert_eq!(taken(), [], "nothing is no value to tell of");
    let counted = cache.stats().evictions;
    assert_eq!(
        (counted.replaced, counted.explicit, counted.expired, counted.capacity, counted.rejected),
        (2, 5, 1, 1, 0)
    );
}

#[tokio::test]
async fn what_a_clear_left_behind_leaves_as_cleared() {
    let (removals, listener) = noting();
    let cache: Cache<u64, u64> = Cache::builder("left behind").capacity(10_000).on_eviction(listener).build().unwrap();
    for key in 0..3_000_u64 {
        cache.insert(&key, key).await.unwrap();
    }
    let mut clear = Box::pin(cache.clear());
    assert!(hybridcache_tests::poll_once(&mut clear).is_pending());
    drop(clear);
    for key in 0..3_000_u64 {
        cache.insert(&key, key + 1).await.unwrap();
    }
    let removals = removals.lock().unwrap();
    assert_eq!(removals.len(), 3_000);
    assert!(removals.iter().all(|(key, value, reason)| key == value && *reason == RemovalReason::Explicit));
}

#[test]
fn user_code_may_use_the_cache_it_is_called_by() {
    in_time(|| {
        static CACHE: OnceLock<Cache<u64, Nosy>> = OnceLock::new();
        #[derive(Clone)]
        struct Nosy(u64, #[allow(dead_code)] Arc<OnDrop>);
        struct OnDrop;
        impl Drop for OnDrop {
            fn drop(&mut self) {
                look();
            }
        }
        fn look() {
            if let Some(cache) = CACHE.get() {
                let plain = cache.blocking();
                plain.peek(&1);
                plain.evict(&2).unwrap();
            }
        }
        fn nosy(value: u64) -> Nosy {
            Nosy(value, Arc::new(OnDrop))
        }
        let runs = Runs::default();
        let (weighed, filtered, told) = (runs.clone(), runs.clone(), runs.clone());
        let cache = Cache::builder("nosy")
            .max_weight(64)
            .weigher(move |_, _| {
                weighed.run();
                look();
                1
            })
            .store_if(move |_| {
                filtered.run();
                look();
                true
            })
            .on_eviction(move |_, _, _| {
                told.run();
                look();
            })
            .build()
            .unwrap();
        CACHE.set(cache.clone()).ok().unwrap();
        let plain = cache.blocking();
        for key in 0..300_u64 {
            plain.insert(&key, nosy(key)).unwrap();
            plain.get_or_load(&(key + 1_000), || nosy(key));
            plain.refresh(&key, || nosy(key + 1));
            if let Some(Nosy(value, _)) = plain.get(&key) {
                assert_eq!(value, key + 1);
            }
            plain.write(&key).unwrap().put_blocking(nosy(key)).unwrap();
        }
        plain.evict_many((0..300).collect::<Vec<u64>>().iter()).unwrap();
        plain.clear().unwrap();
        assert!(cache.is_empty());
        assert!(runs.count() > 3_000);
    });
}

#[tokio::test]
async fn panics_of_a_weigher_or_filter_keep_the_value_out_and_reach_nobody() {
    let weighed: Cache<u64, u64> = Cache::builder("weigher")
        .max_weight(100)
        .weigher(|_, v| if *v == 13 { panic!("13") } else { 1 })
        .build()
        .unwrap();
    let filtered: Cache<u64, u64> = Cache::builder("filter").store_if(|v| *v != 13 || panic!("13")).build().unwrap();
    for (cache, rejected) in [(weighed, 3), (filtered, 0)] {
        assert_eq!(cache.get_or_load(&1, || async { 13 }).await, 13);
        assert_eq!(cache.peek(&1).await, None);
        cache.insert(&1, 13).await.unwrap();
        assert_eq!(cache.peek(&1).await, None);
        assert_eq!(cache.get_or_load(&1, || async { 14 }).await, 14);
        assert_eq!(cache.peek(&1).await, Some(14));
        cache.insert(&1, 13).await.unwrap();
        assert_eq!(cache.peek(&1).await, None, "a put that is not kept leaves no old value behind");
        assert_eq!(cache.get_or_load(&1, || async { 15 }).await, 15);
        assert_eq!(cache.stats().evictions.rejected, rejected);
    }
}

#[tokio::test]
async fn a_panic_of_the_listener_reaches_nobody() {
    let runs = Runs::default();
    let told = runs.clone();
    let cache: Cache<u64, u64> = Cache::builder("listener")
        .capacity(4)
        .on_eviction(move |_, _, _| {
            told.run();
            panic!("the listener");
        })
        .build()
        .unwrap();
    for key in 0..20_u64 {
        assert_eq!(cache.get_or_load(&key, || async { key }).await, key);
    }
    cache.insert(&19, 0).await.unwrap();
    cache.evict(&19).await.unwrap();
    cache.clear().await.unwrap();
    assert_eq!(runs.count(), 21, "each value that left was told of");
    cache.insert(&1, 1).await.unwrap();
    assert_eq!(cache.get(&1).await, Some(1));
}

#[tokio::test]
async fn memory_is_given_back_with_the_cache() {
    let value = Arc::new(0);
    let cache: Cache<u64, Arc<u64>> = Cache::builder("dropped").ttl(SECOND).build().unwrap();
    for key in 0..100_u64 {
        cache.insert(&key, Arc::clone(&value)).await.unwrap();
    }
    drop(cache);
    assert_eq!(Arc::strong_count(&value), 1);
}
