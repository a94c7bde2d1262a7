//! What nobody should do, and what becomes of it: an error that names the option, or a cache that goes on to work.

mod panics;

use std::hash::Hash;
use std::hash::Hasher;
use std::time::Duration;

use hybridcache::{Builder, Cache, Clock, ErrorKind, Outcome, Share};
use hybridcache_tests::{Gate, SECOND, block_on, in_time, poll_once, until_blocking};

fn builder() -> Builder<u64, u64> {
    Cache::builder("bad")
}

/// The option that the error names.
fn refused(builder: Builder<u64, u64>) -> &'static str {
    let error = builder.build().unwrap_err();
    let ErrorKind::Option { cache, option, reason } = error.kind() else { panic!("{error}") };
    assert_eq!(cache, "bad");
    assert!(!reason.is_empty());
    let text = error.to_string();
    assert!(text.contains("`bad`") && text.contains(&format!("`{option}`")), "{text}");
    option
}

#[test]
fn each_option_that_makes_no_sense_is_named() {
    let zero = Duration::ZERO;
    assert_eq!(refused(builder().ttl(zero)), "ttl");
    assert_eq!(refused(builder().sliding(zero)), "sliding");
    assert_eq!(refused(builder().sliding(SECOND).max_age(zero)), "max_age");
    assert_eq!(refused(builder().none_ttl(zero)), "none_ttl");
    assert_eq!(refused(builder().err_ttl(zero)), "err_ttl");
    assert_eq!(refused(builder().sweep_interval(zero)), "sweep_interval");
    assert_eq!(refused(builder().capacity(0)), "capacity");
    assert_eq!(refused(builder().max_weight(0).weigher(|_, _| 1)), "max_weight");
    assert_eq!(refused(builder().max_weight(1).max_entry_weight(0).weigher(|_, _| 1)), "max_entry_weight");
    assert_eq!(refused(builder().max_weight(10).max_entry_weight(11).weigher(|_, _| 1)), "max_entry_weight");
    assert_eq!(refused(builder().max_entry_weight(1)), "max_entry_weight");
    assert_eq!(refused(builder().capacity(1).max_weight(1).weigher(|_, _| 1)), "capacity");
    assert_eq!(refused(builder().max_weight(1)), "max_weight");
    assert_eq!(refused(builder().weigher(|_, _| 1)), "weigher");
    assert_eq!(refused(builder().max_age(SECOND)), "max_age");
    assert_eq!(refused(builder().max_age(SECOND).ttl(SECOND)), "max_age");
    for jitter in [-0.1, 1.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(refused(builder().ttl(SECOND).jitter(jitter)), "jitter", "{jitter}");
    }
    for fraction in [0.0, -0.0, 1.0, -1.0, 7.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(builder().ttl(SECOND).refresh_ahead(fraction)), "refresh_ahead", "{fraction}");
    }
    assert_eq!(refused(builder().refresh_ahead(0.5)), "refresh_ahead");
}

#[test]
fn the_edges_of_what_makes_sense_are_taken() {
    let built = |builder: Builder<u64, u64>| {
        let cache = builder.build().unwrap();
        cache.blocking().insert(&1, 1).unwrap();
        assert_eq!(cache.blocking().get(&1), Some(1));
    };
    built(builder().jitter(0.0));
    built(builder().jitter(0.999_999).ttl(Duration::from_secs(1_000_000)));
    built(builder().ttl(SECOND).refresh_ahead(f64::MIN_POSITIVE));
    built(builder().max_weight(1).max_entry_weight(1).weigher(|_, _| 1));
    built(builder().wait_timeout(Duration::ZERO));
    built(builder().wait_timeout(Duration::MAX));
    built(builder().sweep_interval(Duration::MAX).ttl(SECOND));
    built(builder().sweep_interval(Duration::from_nanos(1)).ttl(SECOND * 1_000));
    built(builder().version(u32::MAX));
    built(Cache::builder(""));
}

#[tokio::test]
async fn the_longest_lifetimes_do_not_overflow() {
    for clock in [Clock::manual(), Clock::kernel(), Clock::precise()] {
        let longest = [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_nanos(u64::MAX - 1)];
        for longest in longest {
            let cache: Cache<u64, u64> = Cache::builder("longest")
                .ttl(longest)
                .sliding(longest)
                .max_age(longest)
                .none_ttl(longest)
                .err_ttl(longest)
                .jitter(0.5)
                .refresh_ahead(0.5)
                .clock(clock.clone())
                .build()
                .unwrap();
            cache.insert(&1, 1).await.unwrap();
            cache.insert_with(&2, 2, |context| context.ttl(longest)).await.unwrap();
            cache.get_or_load(&3, || async { None::<u64> }).await;
            clock.advance(Duration::from_secs(1_000_000_000));
            assert_eq!(cache.get_many(&[1, 2]).await, [Some(1), Some(2)]);
            cache.sweep();
            assert_eq!(cache.len(), 3);
        }
    }
}

#[tokio::test]
async fn a_capacity_beyond_all_memory_is_no_reservation() {
    for capacity in [u64::MAX, u64::MAX / 2, 1 << 62, 1 << 40] {
        let cache: Cache<u64, u64> = Cache::builder("all").capacity(capacity).build().unwrap();
        for key in 0..1_000 {
            cache.insert(&key, key).await.unwrap();
        }
        assert_eq!((cache.len(), cache.get(&7).await), (1_000, Some(7)), "{capacity}");
        let cache: Cache<u64, u64> =
            Cache::builder("all").max_weight(capacity).weigher(|_, _| 1 << 20).build().unwrap();
        for key in 0..1_000 {
            cache.insert(&key, key).await.unwrap();
        }
        assert_eq!((cache.len(), cache.weight()), (1_000, 1_000 << 20), "{capacity}");
    }
}

#[tokio::test]
async fn a_weight_beyond_all_bounds_is_rejected_and_sums_do_not_overflow() {
    for max in [1_u64, 1 << 20, u64::MAX] {
        let cache: Cache<u64, u64> = Cache::builder("heaviest")
            .max_weight(max)
            .max_entry_weight(max)
            .weigher(|_, weight| *weight)
            .build()
            .unwrap();
        for key in 0..100 {
            cache.insert(&key, u64::MAX).await.unwrap();
            cache.insert(&(key + 100), u64::from(u32::MAX)).await.unwrap();
            cache.insert(&(key + 200), 1).await.unwrap();
        }
        assert_eq!(cache.peek(&0).await, None, "heavier than any entry may be");
        assert_eq!(cache.peek(&299).await, Some(1), "of {max}");
        assert!(cache.weight() <= max);
    }
}

#[tokio::test]
async fn a_megabyte_is_a_key_like_any_other() {
    let cache: Cache<String, u64> = Cache::builder("long").build().unwrap();
    let key = "k".repeat(1 << 20);
    let mut other = key.clone();
    other.push('x');
    assert_eq!(cache.get_or_load(key.as_str(), || async { 1 }).await, 1);
    assert_eq!(cache.get_or_load(other.as_str(), || async { 2 }).await, 2);
    assert_eq!((cache.get(key.as_str()).await, cache.get(other.as_str()).await), (Some(1), Some(2)));
    cache.evict(key.as_str()).await.unwrap();
    assert_eq!((cache.get(key.as_str()).await, cache.get(other.as_str()).await), (None, Some(2)));
}

#[tokio::test]
async fn a_clock_that_goes_backwards_serves_nothing_past_its_end_and_frees_it() {
    for sliding in [false, true] {
        let clock = Clock::manual();
        let build = builder().clock(clock.clone()).sweep_interval(SECOND);
        let cache = if sliding { build.sliding(SECOND * 10) } else { build.ttl(SECOND * 10) }.build().unwrap();
        cache.insert(&1, 1).await.unwrap();
        clock.rewind(SECOND * 100);
        assert_eq!(cache.get(&1).await, Some(1));
        cache.sweep();
        let slow = cache.get_or_load(&2, || async {
            clock.rewind(SECOND * 100);
            2
        });
        assert_eq!(slow.await, 2);
        clock.rewind(Duration::MAX);
        cache.insert(&3, 3).await.unwrap();
        cache.get(&1).await;
        cache.sweep();
        assert_eq!(cache.get(&3).await, Some(3));
        clock.advance(SECOND * 10);
        assert_eq!(cache.get(&3).await, None);
        clock.advance(Duration::MAX);
        assert_eq!(cache.get_many(&[1, 2, 3]).await, [None, None, None]);
        clock.rewind(SECOND);
        cache.sweep();
        assert_eq!(cache.len(), 0, "sliding: {sliding}");
    }
}

#[test]
fn a_wait_of_zero_does_not_wait_and_one_of_the_longest_does() {
    in_time(|| {
        let none: Cache<u64, u64> = builder().wait_timeout(Duration::ZERO).build().unwrap();
        let mut leader = Box::pin(none.get_or_load(&1, std::future::pending::<u64>));
        assert!(poll_once(&mut leader).is_pending());
        let own = block_on(none.fetch(&1).load(Share::none(), |_| async { 2 }));
        assert_eq!((own.result, own.outcome), (2, Outcome::Uncached));

        let longest: Cache<u64, u64> = builder().wait_timeout(Duration::MAX).build().unwrap();
        let gate = Gate::default();
        std::thread::scope(|scope| {
            scope.spawn(|| longest.blocking().get_or_load(&1, || gate.then_blocking(1)));
            until_blocking("it leads", || gate.arrived() == 1);
            let waiter = scope.spawn(|| block_on(longest.fetch(&1).load(Share::none(), |_| async { 2 })));
            until_blocking("it waits", || longest.stats().waits == 1);
            gate.open();
            assert_eq!(waiter.join().unwrap().outcome, Outcome::Shared);
        });
    });
}

/// All of its keys collide. It is slow, and it is right.
#[test]
fn keys_that_all_hash_alike_are_kept_apart() {
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Alike(u64);
    impl Hash for Alike {
        fn hash<H: Hasher>(&self, state: &mut H) {
            0_u8.hash(state);
        }
    }
    in_time(|| {
        let clock = Clock::manual();
        let cache: Cache<Alike, u64> = Cache::builder("alike")
            .ttl(SECOND)
            .sweep_interval(SECOND)
            .capacity(10_000)
            .clock(clock.clone())
            .build()
            .unwrap();
        let plain = cache.blocking();
        for key in 0..200 {
            assert_eq!(plain.get_or_load(&Alike(key), || key), key);
        }
        for key in 0..200 {
            assert_eq!(plain.get(&Alike(key)), Some(key));
        }
        for key in (0..200).step_by(2) {
            plain.evict(&Alike(key)).unwrap();
        }
        for key in 0..200 {
            assert_eq!(plain.get(&Alike(key)), (key % 2 == 1).then_some(key));
        }
        clock.advance(SECOND * 3);
        cache.sweep();
        assert_eq!(cache.len(), 0, "they are swept too");
    });
}
