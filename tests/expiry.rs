//! How long entries are served, and when their memory is freed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hybridcache::{Cache, Clock, Outcome, RemovalReason, Share};
use hybridcache_tests::{INSTANT, MINUTE, Runs, SECOND, until_blocking};

#[tokio::test]
async fn an_entry_is_served_until_its_ttl_ends() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder("ttl").ttl(MINUTE).clock(clock.clone()).build().unwrap();
    cache.insert(&1, 10).await.unwrap();
    clock.advance(MINUTE - INSTANT);
    assert_eq!((cache.get(&1).await, cache.peek(&1).await, cache.contains(&1).await), (Some(10), Some(10), true));
    clock.advance(INSTANT);
    assert_eq!((cache.get(&1).await, cache.peek(&1).await, cache.contains(&1).await), (None, None, false));
    assert_eq!(cache.get_or_load(&1, || async { 11 }).await, 11);
    assert_eq!(cache.get(&1).await, Some(11));
    assert_eq!(cache.stats().evictions.expired, 1);
}

#[tokio::test]
async fn without_a_ttl_an_entry_does_not_end() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder("forever").clock(clock.clone()).build().unwrap();
    cache.insert(&1, 10).await.unwrap();
    clock.advance(Duration::MAX);
    assert_eq!(cache.get(&1).await, Some(10));
}

#[tokio::test]
async fn a_lifetime_counts_from_the_start_of_the_load() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder("slow load").ttl(MINUTE).clock(clock.clone()).build().unwrap();
    let slow = || async {
        clock.advance(SECOND * 40);
        10
    };
    cache.get_or_load(&1, slow).await;
    cache.refresh(&2, slow).await;
    clock.advance(SECOND * 20 - INSTANT);
    assert_eq!(
        (cache.peek(&1).await, cache.peek(&2).await),
        (None, Some(10)),
        "40 s for it, 40 s for the other, then 20 s"
    );
    clock.advance(INSTANT);
    assert_eq!(cache.peek(&2).await, None);
    let batch = cache
        .get_many_or_load(&[3], |_| async {
            clock.advance(SECOND * 40);
            Ok::<_, String>([(3, 30)].into())
        })
        .await;
    assert_eq!(batch, Ok(vec![Some(30)]));
    clock.advance(SECOND * 20 - INSTANT);
    assert_eq!(cache.peek(&3).await, Some(30));
    clock.advance(INSTANT);
    assert_eq!(cache.peek(&3).await, None);
}

#[tokio::test]
async fn a_load_that_takes_longer_than_the_ttl_is_returned_and_dead() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder("too slow").ttl(SECOND).clock(clock.clone()).build().unwrap();
    let runs = Runs::default();
    for run in 1..=2 {
        let loaded = cache
            .get_or_load(&1, || async {
                clock.advance(SECOND);
                runs.run()
            })
            .await;
        assert_eq!(loaded, run);
    }
}

#[tokio::test]
async fn hits_renew_a_sliding_entry_and_looks_do_not() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder("sliding").sliding(MINUTE).clock(clock.clone()).build().unwrap();
    cache.insert(&1, 10).await.unwrap();
    for _ in 0..10 {
        clock.advance(MINUTE - INSTANT);
        assert_eq!(cache.get(&1).await, Some(10));
        clock.advance(MINUTE - INSTANT);
        assert_eq!(cache.get_or_load(&1, || async { 99 }).await, 10);
        clock.advance(MINUTE - INSTANT);
        assert_eq!(cache.get_many(&[1]).await, [Some(10)]);
    }
    clock.advance(SECOND * 59);
    assert_eq!((cache.peek(&1).await, cache.contains(&1).await), (Some(10), true));
    clock.advance(SECOND);
    assert_eq!(cache.get(&1).await, None, "the looks renewed nothing");
}

#[tokio::test]
async fn neither_max_age_nor_ttl_slides() {
    for capped_by_ttl in [false, true] {
        let clock = Clock::manual();
        let builder = Cache::<u64, u64>::builder("capped").sliding(MINUTE).clock(clock.clone());
        let builder = if capped_by_ttl { builder.ttl(MINUTE * 3) } else { builder.max_age(MINUTE * 3) };
        let cache = builder.build().unwrap();
        cache.insert(&1, 10).await.unwrap();
        for _ in 0..6 {
            clock.advance(SECOND * 29);
            assert_eq!(cache.get(&1).await, Some(10));
        }
        clock.advance(SECOND * 6 - INSTANT);
        assert_eq!(cache.get(&1).await, Some(10));
        clock.advance(INSTANT);
        assert_eq!(cache.get(&1).await, None, "three minutes are over");
    }
}

#[tokio::test]
async fn of_sliding_max_age_and_ttl_the_first_to_end_counts() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder("all three")
        .sliding(MINUTE)
        .ttl(MINUTE * 10)
        .max_age(MINUTE * 2)
        .clock(clock.clone())
        .build()
        .unwrap();
    cache.insert(&1, 10).await.unwrap();
    cache.insert(&2, 20).await.unwrap();
    clock.advance(SECOND * 59);
    assert_eq!(cache.get(&1).await, Some(10));
    clock.advance(SECOND);
    assert_eq!(cache.get(&2).await, None, "nobody renewed it");
    clock.advance(SECOND * 50);
    assert_eq!(cache.get(&1).await, Some(10));
    clock.advance(SECOND * 10);
    assert_eq!(cache.get(&1).await, None, "two minutes are over");
}

#[tokio::test]
async fn nothing_and_errors_have_lifetimes_of_their_own() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder("negative")
        .ttl(MINUTE)
        .none_ttl(SECOND * 10)
        .err_ttl(SECOND)
        .clock(clock.clone())
        .build()
        .unwrap();
    let outcome = async |key: u64, result: Result<Option<u64>, &'static str>| {
        cache.fetch(&key).load(Share::cloned(), |_| async { result }).await.outcome
    };
    assert_eq!(outcome(1, Ok(Some(10))).await, Outcome::Loaded);
    assert_eq!(outcome(2, Ok(None)).await, Outcome::Loaded);
    assert_eq!(outcome(3, Err("down")).await, Outcome::Loaded);
    clock.advance(SECOND - INSTANT);
    assert_eq!(outcome(3, Err("down")).await, Outcome::Negative);
    clock.advance(INSTANT);
    assert_eq!(outcome(3, Err("down")).await, Outcome::Loaded, "a second");
    clock.advance(SECOND * 9 - INSTANT);
    assert_eq!(outcome(2, Ok(None)).await, Outcome::Negative);
    clock.advance(INSTANT);
    assert_eq!(outcome(2, Ok(None)).await, Outcome::Loaded, "ten seconds");
    clock.advance(SECOND * 50 - INSTANT);
    assert_eq!(outcome(1, Ok(Some(10))).await, Outcome::Hit);
    clock.advance(INSTANT);
    assert_eq!(outcome(1, Ok(Some(10))).await, Outcome::Loaded, "a minute");
}

#[tokio::test]
async fn nothing_lives_as_long_as_a_value_unless_told_otherwise() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> =
        Cache::builder("as a value").ttl(MINUTE).cache_none(true).clock(clock.clone()).build().unwrap();
    let load = || cache.fetch(&1).load(Share::none(), |_| async { None::<u64> });
    assert_eq!(load().await.outcome, Outcome::Loaded);
    clock.advance(MINUTE - INSTANT);
    assert_eq!(load().await.outcome, Outcome::Negative);
    clock.advance(INSTANT);
    assert_eq!(load().await.outcome, Outcome::Loaded);
}

#[tokio::test]
async fn a_loader_chooses_a_lifetime_from_its_value() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> =
        Cache::builder("chosen").ttl(MINUTE).sliding(SECOND * 10).clock(clock.clone()).build().unwrap();
    let load = async |key: u64, ttl: Duration| {
        cache
            .get_or_load_with(&key, |context| async move {
                context.ttl(ttl);
                key
            })
            .await
    };
    load(1, SECOND).await;
    load(2, MINUTE * 5).await;
    load(3, Duration::ZERO).await;
    cache.insert_with(&4, 4, |context| context.ttl(SECOND)).await.unwrap();
    assert_eq!(cache.get_many(&[1, 2, 3, 4]).await, [Some(1), Some(2), None, Some(4)]);
    assert_eq!(cache.len(), 3, "what is to live for no time takes no place");
    clock.advance(SECOND - INSTANT);
    assert_eq!(cache.get_many(&[1, 4]).await, [Some(1), Some(4)]);
    clock.advance(INSTANT);
    assert_eq!(cache.get_many(&[1, 4]).await, [None, None], "it does not slide");
    clock.advance(MINUTE * 5 - SECOND - INSTANT);
    assert_eq!(cache.get(&2).await, Some(2), "longer than the cache's own lifetimes");
    clock.advance(INSTANT);
    assert_eq!(cache.get(&2).await, None);
}

#[tokio::test]
async fn jitter_spreads_the_ends_and_never_lengthens_a_life() {
    const KEYS: u64 = 400;
    for sliding in [false, true] {
        let clock = Clock::manual();
        let builder = Cache::<u64, u64>::builder("jitter").jitter(0.5).clock(clock.clone());
        let cache = if sliding { builder.sliding(SECOND * 100) } else { builder.ttl(SECOND * 100) }.build().unwrap();
        for key in 0..KEYS {
            cache.insert(&key, key).await.unwrap();
        }
        let living = async || {
            let mut living = 0;
            for key in 0..KEYS {
                living += u64::from(cache.contains(&key).await);
            }
            living
        };
        clock.advance(SECOND * 50 - INSTANT);
        assert_eq!(living().await, KEYS, "never more than half of a life is taken");
        clock.advance(SECOND * 25);
        let half = living().await;
        assert!((KEYS / 4..KEYS * 3 / 4).contains(&half), "the ends are spread, {half} of {KEYS} live");
        clock.advance(SECOND * 25 + INSTANT);
        assert_eq!(living().await, 0, "none lives longer");
    }
}

#[tokio::test]
async fn a_sweep_frees_what_expired_and_nothing_else() {
    let clock = Clock::manual();
    let cache: Cache<u64, Arc<u64>> = Cache::builder("sweep")
        .ttl(MINUTE)
        .sweep_interval(SECOND)
        .clock(clock.clone())
        .on_eviction(|_, _, reason| assert_eq!(reason, RemovalReason::Expired))
        .build()
        .unwrap();
    let value = Arc::new(7);
    for key in 0..3_000_u64 {
        cache.insert(&key, Arc::clone(&value)).await.unwrap();
    }
    clock.advance(SECOND * 30);
    for key in 3_000..3_100_u64 {
        cache.insert(&key, Arc::clone(&value)).await.unwrap();
    }
    clock.advance(SECOND * 30);
    assert_eq!((cache.get(&0).await, cache.len()), (None, 3_100), "dead, and still held");
    clock.advance(SECOND);
    cache.sweep();
    assert_eq!((cache.len(), Arc::strong_count(&value)), (100, 101));
    assert_eq!((cache.stats().entries, cache.stats().weight, cache.stats().evictions.expired), (100, 100, 3_000));
    assert_eq!(cache.get(&3_050).await.as_deref(), Some(&7));
    clock.advance(SECOND * 30);
    cache.sweep();
    assert_eq!((cache.len(), Arc::strong_count(&value)), (0, 1));
}

/// A sweep by hand frees what ended, however seldom the background would.
#[tokio::test]
async fn however_long_the_interval_a_sweep_frees_what_expired() {
    for interval in [Duration::MAX, SECOND * 86_400 * 365] {
        let clock = Clock::manual();
        let cache: Cache<u64, u64> =
            Cache::builder("seldom").ttl(SECOND).sweep_interval(interval).clock(clock.clone()).build().unwrap();
        for key in 0..100 {
            cache.insert(&key, key).await.unwrap();
        }
        clock.advance(SECOND * 3);
        cache.sweep();
        assert_eq!(cache.len(), 0, "{interval:?}");
    }
}

#[tokio::test]
async fn a_sweep_leaves_what_was_renewed_and_finds_it_later() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> =
        Cache::builder("renewed").sliding(MINUTE).sweep_interval(SECOND).clock(clock.clone()).build().unwrap();
    for key in 0..100_u64 {
        cache.insert(&key, key).await.unwrap();
    }
    for _ in 0..5 {
        clock.advance(SECOND * 50);
        assert_eq!(cache.get(&7).await, Some(7));
        cache.sweep();
    }
    assert_eq!(cache.len(), 1);
    clock.advance(SECOND * 62);
    cache.sweep();
    assert_eq!(cache.len(), 0);
}

#[tokio::test]
async fn what_replaced_another_entry_is_swept_too() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> =
        Cache::builder("replaced").ttl(MINUTE).sweep_interval(SECOND).clock(clock.clone()).build().unwrap();
    for _ in 0..2 {
        for key in 0..100_u64 {
            cache.insert(&key, key).await.unwrap();
        }
    }
    clock.advance(SECOND * 62);
    cache.sweep();
    assert_eq!(cache.len(), 0);
}

#[tokio::test]
async fn what_was_evicted_and_loaded_again_is_swept_too() {
    let clock = Clock::manual();
    let cache: Cache<u64, u64> =
        Cache::builder("again").ttl(MINUTE).sweep_interval(SECOND).clock(clock.clone()).build().unwrap();
    for key in 0..100_u64 {
        cache.insert(&key, key).await.unwrap();
        cache.evict(&key).await.unwrap();
        cache.get_or_load(&key, || async { key }).await;
        cache.refresh(&key, || async { key }).await;
    }
    clock.advance(SECOND * 62);
    cache.sweep();
    assert_eq!(cache.len(), 0);
}

#[test]
fn expired_entries_are_freed_in_the_background() {
    let interval = Duration::from_millis(5);
    let configured: Cache<u64, u64> =
        Cache::builder("configured").ttl(interval).sweep_interval(interval).build().unwrap();
    let chosen: Cache<u64, u64> = Cache::builder("chosen").sweep_interval(interval).build().unwrap();
    for key in 0..1_000_u64 {
        configured.blocking().insert(&key, key).unwrap();
        chosen.blocking().get_or_load_with(&key, |context| {
            context.ttl(interval * 4);
            key
        });
    }
    until_blocking("the ttl of the cache is swept for", || configured.is_empty());
    until_blocking("the ttl of a loader is swept for", || chosen.is_empty());
}

#[test]
fn on_the_kernel_clock_nothing_is_served_past_its_life() {
    for ttl in [Duration::from_millis(1), Duration::from_millis(5), Duration::from_millis(40)] {
        let cache: Cache<u64, u64> = Cache::builder("real").ttl(ttl).build().unwrap();
        let plain = cache.blocking();
        let mut served = 0_u64;
        for key in 0..1_000_u64 {
            // A machine that stands still for as long as an entry lives has shown nothing of it.
            if key > 4 && served > 0 {
                break;
            }
            let before = Instant::now();
            plain.insert(&key, key).unwrap();
            let inserted = Instant::now();
            loop {
                let asked = Instant::now();
                if plain.get(&key).is_none() {
                    assert!(
                        asked.elapsed() + (asked - before) + Duration::from_millis(20) >= ttl,
                        "{ttl:?}: not long before its end either"
                    );
                    break;
                }
                assert!(asked - inserted < ttl, "{ttl:?}: served after {:?}", asked - inserted);
                served += 1;
            }
        }
        assert!(served > 0, "{ttl:?}: it was served at all");
    }
}

#[tokio::test(start_paused = true)]
async fn the_tokio_clock_follows_pause_and_advance() {
    let cache: Cache<u64, u64> = Cache::builder("tokio").ttl(MINUTE).clock(Clock::tokio()).build().unwrap();
    cache.insert(&1, 10).await.unwrap();
    tokio::time::advance(SECOND * 59).await;
    assert_eq!(cache.get(&1).await, Some(10));
    tokio::time::advance(SECOND).await;
    assert_eq!(cache.get(&1).await, None);
}

#[tokio::test]
async fn clocks_of_clones_move_together_and_those_of_others_do_not() {
    let (one, other) = (Clock::manual(), Clock::manual());
    let first: Cache<u64, u64> = Cache::builder("first").ttl(SECOND).clock(one.clone()).build().unwrap();
    let second: Cache<u64, u64> = Cache::builder("second").ttl(SECOND).clock(other).build().unwrap();
    first.insert(&1, 1).await.unwrap();
    second.insert(&1, 1).await.unwrap();
    one.advance(SECOND);
    assert_eq!((first.get(&1).await, second.get(&1).await), (None, Some(1)));
}

#[tokio::test]
async fn what_replaces_a_dead_entry_counts_it_as_expired() {
    let clock = Clock::manual();
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    let cache: Cache<u64, u64> = Cache::builder("dead")
        .ttl(SECOND)
        .clock(clock.clone())
        .on_eviction(move |key, value, reason| {
            assert_eq!((*key, *value, reason), (1, 10, RemovalReason::Expired));
            count.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    cache.insert(&1, 10).await.unwrap();
    clock.advance(SECOND);
    cache.insert(&1, 11).await.unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 1);
    assert_eq!((cache.stats().evictions.expired, cache.stats().evictions.replaced), (1, 0));
}
