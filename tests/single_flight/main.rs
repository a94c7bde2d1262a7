//! Of those who miss one key together one loads; what becomes of the others in every case.

mod blocking;
mod cycles;
mod failures;
mod handover;

use std::hash::Hash;
use std::time::Duration;

use hybridcache::{Cache, Clock, Fetched, Outcome, Share, SingleFlight};
use hybridcache_tests::{Gate, Runs, SECOND, on_tokio, poll_once, until};

fn cache() -> Cache<u64, u64> {
    Cache::builder("flights").build().unwrap()
}

#[test]
fn ten_thousand_callers_of_a_cold_key_run_the_body_once() {
    on_tokio(4, async || {
        let (cache, runs, gate) = (cache(), Runs::default(), Gate::default());
        let mut callers = Vec::new();
        for _ in 0..10_000 {
            let (cache, runs, gate) = (cache.clone(), runs.clone(), gate.clone());
            callers.push(tokio::spawn(async move {
                let fetched = cache.fetch(&7).load(Share::none(), |_| async {
                    gate.pass().await;
                    runs.run() * 100
                });
                fetched.await
            }));
        }
        until("everybody but one waits", || cache.stats().waits == 9_999).await;
        gate.open();
        let mut shared = 0;
        for caller in callers {
            let Fetched { result, outcome, .. } = caller.await.unwrap();
            assert_eq!(result, 100);
            shared += usize::from(outcome == Outcome::Shared);
        }
        assert_eq!((runs.count(), shared), (1, 9_999));
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.loads, stats.hits, stats.uncached), (10_000, 1, 0, 0));
        assert_eq!(cache.get(&7).await, Some(100));
    });
}

#[test]
fn ten_thousand_callers_who_come_as_they_please_run_the_body_once() {
    on_tokio(4, async || {
        let (cache, runs) = (cache(), Runs::default());
        let mut callers = Vec::new();
        for _ in 0..10_000 {
            let (cache, runs) = (cache.clone(), runs.clone());
            callers.push(tokio::spawn(async move { cache.get_or_load(&7, || async { runs.run() }).await }));
        }
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 1);
        }
        let stats = cache.stats();
        assert_eq!((runs.count(), stats.loads, stats.hits + stats.misses), (1, 1, 10_000));
    });
}

#[test]
fn flights_of_different_keys_do_not_meet() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        let mut held = Box::pin(cache.get_or_load(&0, || gate.then(0)));
        assert!(poll_once(&mut held).is_pending());
        for key in 1..1_000_u64 {
            assert_eq!(cache.get_or_load(&key, || async { key }).await, key);
        }
        gate.open();
        assert_eq!(held.await, 0);
        assert_eq!(cache.stats().waits, 0);
    });
}

#[test]
fn a_leader_that_is_not_polled_is_waited_for_no_longer_than_told() {
    on_tokio(0, async || {
        let cache: Cache<u64, u64> =
            Cache::builder("impatient").wait_timeout(Duration::from_millis(20)).build().unwrap();
        let gate = Gate::default();
        let mut leader = Box::pin(cache.get_or_load(&7, || gate.then(1)));
        assert!(poll_once(&mut leader).is_pending());
        let waiter = cache.fetch(&7).load(Share::none(), |_| async { 2 }).await;
        assert_eq!((waiter.result, waiter.outcome), (2, Outcome::Uncached));
        assert_eq!(cache.peek(&7).await, None, "its result is not kept");
        let stats = cache.stats();
        assert_eq!((stats.waits, stats.wait_timeouts, stats.uncached), (1, 1, 1));
        gate.open();
        assert_eq!(leader.await, 1);
        assert_eq!(cache.get(&7).await, Some(1));
    });
}

#[tokio::test(start_paused = true)]
async fn on_the_tokio_clock_a_wait_ends_in_its_time() {
    let cache: Cache<u64, u64> =
        Cache::builder("paused").wait_timeout(SECOND * 5).clock(Clock::tokio()).build().unwrap();
    let mut leader = Box::pin(cache.get_or_load(&7, std::future::pending::<u64>));
    assert!(poll_once(&mut leader).is_pending());
    let start = tokio::time::Instant::now();
    let waiter = cache.fetch(&7).load(Share::none(), |_| async { 2 }).await;
    assert_eq!((waiter.result, waiter.outcome), (2, Outcome::Uncached));
    let waited = start.elapsed();
    assert!((SECOND * 5..SECOND * 6).contains(&waited), "{waited:?}");
}

#[test]
fn a_waiter_whose_type_cannot_say_nothing_loads_by_itself() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        let mut leader = Box::pin(cache.get_or_load(&7, || gate.then(None::<u64>)));
        assert!(poll_once(&mut leader).is_pending());
        let mut waiter = Box::pin(cache.get_or_load(&7, || async { 5 }));
        assert!(poll_once(&mut waiter).is_pending());
        let mut optional = Box::pin(cache.fetch(&7).load(Share::none(), |_| async { Some(6) }));
        assert!(poll_once(&mut optional).is_pending());
        gate.open();
        assert_eq!(leader.await, None);
        assert_eq!(waiter.await, 5);
        let optional = optional.await;
        assert_eq!((optional.result, optional.outcome), (None, Outcome::Shared));
    });
}

#[test]
fn without_single_flight_everybody_loads() {
    on_tokio(0, async || {
        let cache: Cache<u64, u64> = Cache::builder("off").single_flight(SingleFlight::Off).build().unwrap();
        let (runs, gate) = (Runs::default(), Gate::default());
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let (cache, runs, gate) = (cache.clone(), runs.clone(), gate.clone());
                tokio::spawn(async move {
                    let load = cache.fetch(&7).load(Share::none(), |_| async {
                        gate.pass().await;
                        runs.run()
                    });
                    load.await.outcome
                })
            })
            .collect();
        until("all are in", || gate.arrived() == 50).await;
        gate.open();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), Outcome::Loaded);
        }
        assert_eq!((runs.count(), cache.stats().waits, cache.len()), (50, 0, 1));
    });
}

#[test]
fn a_second_look_finds_what_landed_a_moment_ago() {
    on_tokio(0, async || {
        // Two callers miss; the first loads and is gone before the second asks for a flight. Here the second is
        // stopped, between its look and its flight, by the building of its owned key.
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct Borrowed(u64);
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        struct Owned(u64);
        impl std::borrow::Borrow<Borrowed> for Owned {
            fn borrow(&self) -> &Borrowed {
                // Not needed by this test's one key, and there is no `&Borrowed` inside of an `Owned` to hand out.
                const SEVEN: &Borrowed = &Borrowed(7);
                SEVEN
            }
        }
        type Hook = Box<dyn FnOnce() + Send>;
        static HOOK: std::sync::Mutex<Option<Hook>> = std::sync::Mutex::new(None);
        impl ToOwned for Borrowed {
            type Owned = Owned;
            fn to_owned(&self) -> Owned {
                let hook = HOOK.lock().unwrap().take();
                if let Some(hook) = hook {
                    hook();
                }
                Owned(self.0)
            }
        }
        let cache: Cache<Owned, u64> = Cache::builder("second look").build().unwrap();
        let other = cache.clone();
        *HOOK.lock().unwrap() = Some(Box::new(move || {
            assert_eq!(other.blocking().get_or_load(&Borrowed(7), || 1), 1);
        }));
        let fetched = cache.fetch(&Borrowed(7)).load(Share::none(), |_| async { 2 }).await;
        assert_eq!((fetched.result, fetched.outcome), (1, Outcome::Hit));
        assert_eq!(cache.stats().loads, 1);
    });
}
