//! Of those who miss one key together one loads; what becomes of the others in every case.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hybridcache::{Cache, Clock, Fetched, Outcome, Share, SharedError, SingleFlight};
use hybridcache_tests::{Gate, Runs, SECOND, in_time, on_tokio, poll_once, settle, until, until_blocking};

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
            let Fetched {
                result, outcome, ..
            } = caller.await.unwrap();
            assert_eq!(result, 100);
            shared += usize::from(outcome == Outcome::Shared);
        }
        assert_eq!((runs.count(), shared), (1, 9_999));
        let stats = cache.stats();
        assert_eq!(
            (stats.misses, stats.loads, stats.hits, stats.uncached),
            (10_000, 1, 0, 0)
        );
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
            callers.push(tokio::spawn(async move {
                cache.get_or_load(&7, || async { runs.run() }).await
            }));
        }
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 1);
        }
        let stats = cache.stats();
        assert_eq!(
            (runs.count(), stats.loads, stats.hits + stats.misses),
            (1, 1, 10_000)
        );
    });
}

#[test]
fn flights_of_different_keys_do_not_meet() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        let mut held = Box::pin(cache.get_or_load(&0, || async {
            gate.pass().await;
            0
        }));
        assert!(poll_once(&mut held).is_pending());
        for key in 1..1_000_u64 {
            assert_eq!(cache.get_or_load(&key, || async { key }).await, key);
        }
        gate.open();
        assert_eq!(held.await, 0);
        assert_eq!(cache.stats().waits, 0);
    });
}

/// A thousand callers of a body that fails, with a way to share its error.
async fn all_get_the_error<E: std::fmt::Debug + Send + 'static>(
    share: Share<E>,
    fail: fn() -> E,
    check: fn(&E),
) {
    let (cache, runs, gate) = (cache(), Runs::default(), Gate::default());
    let mut callers = Vec::new();
    for _ in 0..1_000 {
        let (cache, runs, gate) = (cache.clone(), runs.clone(), gate.clone());
        callers.push(tokio::spawn(async move {
            let load = cache.fetch(&7).load(share, |_| async {
                gate.pass().await;
                runs.run();
                Err::<u64, E>(fail())
            });
            load.await.result
        }));
    }
    until("everybody but one waits", || cache.stats().waits == 999).await;
    gate.open();
    for caller in callers {
        check(&caller.await.unwrap().unwrap_err());
    }
    let stats = cache.stats();
    assert_eq!(
        (
            runs.count(),
            stats.loads,
            stats.load_failures,
            stats.entries
        ),
        (1, 1, 1, 0)
    );
    assert_eq!(
        cache.get_or_load(&7, || async { 8 }).await,
        8,
        "the failure is over"
    );
}

#[test]
fn a_failure_that_can_be_shared_is_everybodys() {
    on_tokio(0, async || {
        all_get_the_error::<String>(
            Share::cloned(),
            || "down".to_owned(),
            |error| assert_eq!(error, "down"),
        )
        .await;
        all_get_the_error::<io::Error>(
            Share::io(),
            || io::Error::new(io::ErrorKind::TimedOut, "down"),
            |error| {
                assert_eq!(
                    (error.kind(), error.to_string()),
                    (io::ErrorKind::TimedOut, "down".to_owned())
                )
            },
        )
        .await;
        #[derive(Debug)]
        struct Opaque(String);
        impl std::fmt::Display for Opaque {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<SharedError> for Opaque {
            fn from(shared: SharedError) -> Self {
                Self(shared.to_string())
            }
        }
        all_get_the_error::<Opaque>(
            Share::text(),
            || Opaque("down".to_owned()),
            |error| assert_eq!(error.0, "down"),
        )
        .await;
        all_get_the_error::<Opaque>(
            Share::with(|error: &Opaque| Opaque(error.0.clone())),
            || Opaque("down".to_owned()),
            |error| assert_eq!(error.0, "down"),
        )
        .await;
        all_get_the_error::<anyhow::Error>(
            Share::text(),
            || anyhow::anyhow!("down"),
            |error| assert_eq!(error.to_string(), "down"),
        )
        .await;
    });
}

/// Callers of a body that fails with an error nobody else can have, on one thread, where the order of things is certain.
/// Each run arrives, and ends when it is let go: true is a success.
struct Waves {
    cache: Cache<u64, u64>,
    arrived: Arc<AtomicUsize>,
    orders: tokio::sync::broadcast::Sender<(usize, bool)>,
}

impl Waves {
    fn new() -> Self {
        Self {
            cache: cache(),
            arrived: Arc::default(),
            orders: tokio::sync::broadcast::channel(64).0,
        }
    }

    fn caller(&self) -> tokio::task::JoinHandle<Fetched<Result<u64, ()>>> {
        let (cache, arrived, orders) = (
            self.cache.clone(),
            Arc::clone(&self.arrived),
            self.orders.clone(),
        );
        tokio::spawn(async move {
            let body = async || {
                let mut told = orders.subscribe();
                let own = arrived.fetch_add(1, Ordering::SeqCst) + 1;
                loop {
                    let (number, success) = told.recv().await.unwrap();
                    if number == own {
                        return if success { Ok(own as u64) } else { Err(()) };
                    }
                }
            };
            cache.fetch(&7).load(Share::none(), |_| body()).await
        })
    }

    /// How many runs there have been, once everybody waits for something.
    async fn arrived(&self) -> usize {
        settle().await;
        self.arrived.load(Ordering::SeqCst)
    }

    fn end(&self, run: usize, success: bool) {
        self.orders.send((run, success)).unwrap();
    }
}

#[test]
fn a_failure_that_cannot_be_shared_is_tried_again_in_waves_that_double() {
    on_tokio(0, async || {
        let waves = Waves::new();
        let callers: Vec<_> = (0..40).map(|_| waves.caller()).collect();
        let mut ended = 0;
        for arrived in [1, 3, 7, 15, 31, 40] {
            assert_eq!(
                waves.arrived().await,
                arrived,
                "as many run at once as have failed, and one more"
            );
            while ended < arrived {
                assert_eq!(
                    waves.arrived().await,
                    arrived,
                    "the next wave waits for all of this one"
                );
                ended += 1;
                waves.end(ended, false);
            }
        }
        for caller in callers {
            let fetched = caller.await.unwrap();
            assert_eq!(
                (fetched.result, fetched.outcome),
                (Err(()), Outcome::Loaded),
                "each had a run of its own"
            );
        }
        assert_eq!(
            (waves.cache.stats().load_failures, waves.cache.stats().waits),
            (40, 39)
        );
    });
}

#[test]
fn the_first_success_of_a_wave_serves_everybody() {
    on_tokio(0, async || {
        let waves = Waves::new();
        let callers: Vec<_> = (0..40).map(|_| waves.caller()).collect();
        assert_eq!(waves.arrived().await, 1);
        waves.end(1, false);
        assert_eq!(waves.arrived().await, 3);
        waves.end(3, true);
        assert_eq!(waves.arrived().await, 3, "and nobody runs any more");
        assert_eq!(waves.cache.get(&7).await, Some(3));
        waves.end(2, true);
        let mut results = Vec::new();
        for caller in callers {
            let fetched = caller.await.unwrap();
            results.push((fetched.result, fetched.outcome));
        }
        let times = |result, outcome| {
            results
                .iter()
                .filter(|of| **of == (result, outcome))
                .count()
        };
        assert_eq!(times(Err(()), Outcome::Loaded), 1);
        assert_eq!(
            times(Ok(2), Outcome::Loaded),
            1,
            "the slower one of the wave keeps its result to itself"
        );
        assert_eq!(times(Ok(3), Outcome::Loaded), 1);
        assert_eq!(times(Ok(3), Outcome::Shared), 37);
        assert_eq!(waves.cache.get(&7).await, Some(3));
    });
}

#[test]
fn whoever_is_dropped_in_a_wave_is_replaced() {
    on_tokio(0, async || {
        let waves = Waves::new();
        let callers: Vec<_> = (0..10).map(|_| waves.caller()).collect();
        assert_eq!(waves.arrived().await, 1);
        waves.end(1, false);
        assert_eq!(waves.arrived().await, 3);
        callers[1].abort();
        callers[2].abort();
        assert_eq!(
            waves.arrived().await,
            5,
            "two others take the places of the two"
        );
        waves.end(4, false);
        assert_eq!(waves.arrived().await, 5);
        waves.end(5, true);
        let mut served = 0;
        for (index, caller) in callers.into_iter().enumerate() {
            match caller.await {
                Ok(fetched) => served += usize::from(fetched.result == Ok(5)),
                Err(error) => assert!(error.is_cancelled() && (index == 1 || index == 2)),
            }
        }
        assert_eq!(served, 6);
    });
}

#[test]
fn when_the_leader_is_dropped_one_waiter_runs_its_own_body() {
    on_tokio(0, async || {
        let (cache, runs) = (cache(), Runs::default());
        let mut leader = Box::pin(cache.get_or_load(&7, || async {
            runs.run();
            std::future::pending::<u64>().await
        }));
        assert!(poll_once(&mut leader).is_pending());
        let gate = Gate::default();
        let waiters: Vec<_> = (0..50)
            .map(|_| {
                let (cache, runs, gate) = (cache.clone(), runs.clone(), gate.clone());
                tokio::spawn(async move {
                    let fetched = cache.fetch(&7).load(Share::none(), |_| async {
                        gate.pass().await;
                        runs.run() * 10
                    });
                    let Fetched {
                        result, outcome, ..
                    } = fetched.await;
                    (result, outcome)
                })
            })
            .collect();
        until("they wait", || cache.stats().waits == 50).await;
        assert_eq!(gate.arrived(), 0);
        drop(leader);
        settle().await;
        assert_eq!(gate.arrived(), 1, "one of them runs its own body");
        gate.open();
        let mut loaded = 0;
        for waiter in waiters {
            let (result, outcome) = waiter.await.unwrap();
            assert_eq!(result, 20);
            loaded += usize::from(outcome == Outcome::Loaded);
        }
        assert_eq!((loaded, runs.count()), (1, 2));
        assert_eq!(cache.get(&7).await, Some(20));
    });
}

#[test]
fn when_the_leader_panics_only_its_caller_hears_of_it() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        let leader = {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move {
                cache
                    .get_or_load(&7, || async {
                        gate.pass().await;
                        panic!("the body");
                    })
                    .await
            })
        };
        until("it leads", || gate.arrived() == 1).await;
        let waiters: Vec<_> = (0..50)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move { cache.get_or_load(&7, || async { 70_u64 }).await })
            })
            .collect();
        until("they wait", || cache.stats().waits == 50).await;
        gate.open();
        let leader: Result<u64, _> = leader.await;
        assert!(leader.unwrap_err().is_panic());
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), 70);
        }
        assert_eq!(
            cache.stats().loads,
            1,
            "a body that panicked did not return"
        );
    });
}

#[test]
fn a_body_that_always_panics_hangs_nobody() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let (cache, gate) = (cache.clone(), gate.clone());
                tokio::spawn(async move {
                    let load = cache.get_or_load(&7, || async {
                        gate.pass().await;
                        panic!("the body");
                    });
                    load.await
                })
            })
            .collect();
        until("they wait", || cache.stats().waits == 19).await;
        gate.open();
        for caller in callers {
            let result: Result<u64, _> = caller.await;
            assert!(
                result.unwrap_err().is_panic(),
                "each ran its own and met its own panic"
            );
        }
        assert_eq!(gate.arrived(), 20);
        assert_eq!(cache.get_or_load(&7, || async { 1 }).await, 1);
    });
}

#[test]
fn a_loader_that_panics_before_its_future_exists_is_handed_over_too() {
    on_tokio(0, async || {
        let cache = cache();
        let panicking = {
            let cache = cache.clone();
            tokio::spawn(async move {
                let make = || -> std::future::Ready<u64> { panic!("before the future") };
                cache.get_or_load(&7, make).await
            })
        };
        assert!(panicking.await.unwrap_err().is_panic());
        assert_eq!(
            cache.get_or_load(&7, || async { 1 }).await,
            1,
            "no flight is left behind"
        );
    });
}

#[test]
fn a_waiter_dropped_just_after_it_was_promoted_passes_the_flight_on() {
    on_tokio(0, async || {
        let (cache, runs) = (cache(), Runs::default());
        let mut leader = Box::pin(cache.get_or_load(&7, std::future::pending::<u64>));
        assert!(poll_once(&mut leader).is_pending());
        let mut waiters: Vec<_> = (0..4)
            .map(|_| {
                Box::pin(
                    cache
                        .fetch(&7)
                        .load(Share::none(), |_| async { runs.run() * 10 }),
                )
            })
            .collect();
        for waiter in &mut waiters {
            assert!(poll_once(waiter).is_pending());
        }
        // Who is promoted is not polled before it is dropped: the first by the leader, the second by the first.
        drop(leader);
        drop(waiters.remove(0));
        drop(waiters.remove(0));
        let mut last = waiters.pop().unwrap();
        assert!(
            poll_once(&mut last).is_pending(),
            "the flight is the third's"
        );
        let Poll::Ready(third) = poll_once(&mut waiters[0]) else {
            panic!("it leads")
        };
        assert_eq!((third.result, third.outcome), (10, Outcome::Loaded));
        let Poll::Ready(last) = poll_once(&mut last) else {
            panic!("it was served")
        };
        assert_eq!((last.result, last.outcome), (10, Outcome::Shared));
        assert_eq!(runs.count(), 1);
    });
}

#[test]
fn waiters_that_leave_are_passed_over() {
    on_tokio(0, async || {
        let cache = cache();
        let mut leader = Box::pin(cache.get_or_load(&7, std::future::pending::<u64>));
        assert!(poll_once(&mut leader).is_pending());
        let mut waiters: Vec<_> = (0..4_u64)
            .map(|number| {
                Box::pin(
                    cache
                        .fetch(&7)
                        .load(Share::none(), move |_| async move { number }),
                )
            })
            .collect();
        for waiter in &mut waiters {
            assert!(poll_once(waiter).is_pending());
        }
        let mut last = waiters.pop().unwrap();
        drop(waiters);
        drop(leader);
        let Poll::Ready(last) = poll_once(&mut last) else {
            panic!("it leads")
        };
        assert_eq!((last.result, last.outcome), (3, Outcome::Loaded));
    });
}

#[test]
fn when_everybody_has_left_the_next_caller_loads() {
    on_tokio(0, async || {
        let cache = cache();
        for left_first in ["leader", "waiter"] {
            let mut leader = Box::pin(cache.get_or_load(&7, std::future::pending::<u64>));
            assert!(poll_once(&mut leader).is_pending());
            let mut waiter = Box::pin(cache.get_or_load(&7, std::future::pending::<u64>));
            assert!(poll_once(&mut waiter).is_pending());
            if left_first == "leader" {
                drop(leader);
                drop(waiter);
            } else {
                drop(waiter);
                drop(leader);
            }
            let fetched = cache.fetch(&7).load(Share::none(), |_| async { 5 }).await;
            assert_eq!(
                (fetched.result, fetched.outcome),
                (5, Outcome::Loaded),
                "{left_first} left first"
            );
            cache.evict(&7).await.unwrap();
        }
    });
}

#[test]
fn a_leader_that_is_not_polled_is_waited_for_no_longer_than_told() {
    on_tokio(0, async || {
        let cache: Cache<u64, u64> = Cache::builder("impatient")
            .wait_timeout(Duration::from_millis(20))
            .build()
            .unwrap();
        let gate = Gate::default();
        let mut leader = Box::pin(cache.get_or_load(&7, || async {
            gate.pass().await;
            1
        }));
        assert!(poll_once(&mut leader).is_pending());
        let waiter = cache.fetch(&7).load(Share::none(), |_| async { 2 }).await;
        assert_eq!((waiter.result, waiter.outcome), (2, Outcome::Uncached));
        assert_eq!(cache.peek(&7).await, None, "its result is not kept");
        let stats = cache.stats();
        assert_eq!(
            (stats.waits, stats.wait_timeouts, stats.uncached),
            (1, 1, 1)
        );
        gate.open();
        assert_eq!(leader.await, 1);
        assert_eq!(cache.get(&7).await, Some(1));
    });
}

#[test]
fn an_uncached_run_that_fails_is_counted_as_a_failure() {
    on_tokio(0, async || {
        let cache: Cache<u64, u64> = Cache::builder("impatient")
            .wait_timeout(Duration::ZERO)
            .build()
            .unwrap();
        let mut leader = Box::pin(cache.get_or_load(&7, std::future::pending::<u64>));
        assert!(poll_once(&mut leader).is_pending());
        let waiter = cache
            .fetch(&7)
            .load(Share::cloned(), |_| async { Err::<u64, _>("down") })
            .await;
        assert_eq!(
            (waiter.result, waiter.outcome),
            (Err("down"), Outcome::Uncached)
        );
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.load_failures), (1, 1));
    });
}

#[tokio::test(start_paused = true)]
async fn on_the_tokio_clock_a_wait_ends_in_its_time() {
    let cache: Cache<u64, u64> = Cache::builder("paused")
        .wait_timeout(SECOND * 5)
        .clock(Clock::tokio())
        .build()
        .unwrap();
    let mut leader = Box::pin(cache.get_or_load(&7, std::future::pending::<u64>));
    assert!(poll_once(&mut leader).is_pending());
    let start = tokio::time::Instant::now();
    let waiter = cache.fetch(&7).load(Share::none(), |_| async { 2 }).await;
    assert_eq!((waiter.result, waiter.outcome), (2, Outcome::Uncached));
    let waited = start.elapsed();
    assert!((SECOND * 5..SECOND * 6).contains(&waited), "{waited:?}");
}

#[test]
fn a_failure_of_another_error_type_is_not_shared_but_ends_the_wait() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        let mut leader = Box::pin(cache.fetch(&7).load(Share::cloned(), |_| async {
            gate.pass().await;
            Err::<u64, _>("text".to_owned())
        }));
        assert!(poll_once(&mut leader).is_pending());
        let mut waiter = Box::pin(
            cache
                .fetch(&7)
                .load(Share::cloned(), |_| async { Ok::<u64, u8>(5) }),
        );
        assert!(poll_once(&mut waiter).is_pending());
        gate.open();
        assert!(leader.await.result.is_err());
        let waiter = waiter.await;
        assert_eq!((waiter.result, waiter.outcome), (Ok(5), Outcome::Uncached));
        assert_eq!(
            cache.stats().uncached,
            1,
            "a body that ran without the right to keep its result"
        );
    });
}

#[test]
fn a_waiter_whose_type_cannot_say_nothing_loads_by_itself() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        let mut leader = Box::pin(cache.get_or_load(&7, || async {
            gate.pass().await;
            None::<u64>
        }));
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
        let cache: Cache<u64, u64> = Cache::builder("off")
            .single_flight(SingleFlight::Off)
            .build()
            .unwrap();
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
fn plain_functions_coalesce_over_threads() {
    in_time(|| {
        let (cache, runs, gate) = (cache(), Runs::default(), Gate::default());
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    let load = || {
                        gate.pass_blocking();
                        runs.run() * 10
                    };
                    assert_eq!(cache.blocking().get_or_load(&7, load), 10);
                });
            }
            until_blocking("everybody but one waits", || cache.stats().waits == 31);
            gate.open();
        });
        assert_eq!(
            (runs.count(), cache.stats().loads, cache.stats().uncached),
            (1, 1, 0)
        );
    });
}

#[test]
fn plain_functions_survive_a_leader_that_panics() {
    in_time(|| {
        let (cache, runs, gate) = (cache(), Runs::default(), Gate::default());
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| {
                cache.blocking().get_or_load(&7, || -> u64 {
                    gate.pass_blocking();
                    panic!("the body");
                })
            });
            until_blocking("it leads", || gate.arrived() == 1);
            let waiters: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| cache.blocking().get_or_load(&7, || runs.run() * 10)))
                .collect();
            until_blocking("they wait", || cache.stats().waits == 8);
            gate.open();
            assert!(leader.join().is_err());
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), 10);
            }
        });
        assert_eq!(runs.count(), 1);
    });
}

#[test]
fn an_async_caller_waits_for_a_plain_leader() {
    on_tokio(2, async || {
        let (cache, gate) = (cache(), Gate::default());
        let leader = {
            let (cache, gate) = (cache.clone(), gate.clone());
            std::thread::spawn(move || {
                cache.blocking().get_or_load(&7, || {
                    gate.pass_blocking();
                    10
                })
            })
        };
        until("it leads", || gate.arrived() == 1).await;
        let waiter = {
            let cache = cache.clone();
            tokio::spawn(async move { cache.fetch(&7).load(Share::none(), |_| async { 99 }).await })
        };
        until("it waits", || cache.stats().waits == 1).await;
        gate.open();
        let waiter = waiter.await.unwrap();
        assert_eq!((waiter.result, waiter.outcome), (10, Outcome::Shared));
        assert_eq!(leader.join().unwrap(), 10);
    });
}

#[test]
fn a_plain_caller_does_not_wait_for_an_async_leader() {
    on_tokio(0, async || {
        let cache: Cache<u64, u64> = Cache::builder("patient")
            .wait_timeout(Duration::MAX)
            .build()
            .unwrap();
        let gate = Gate::default();
        let mut leader = Box::pin(cache.get_or_load(&7, || async {
            gate.pass().await;
            10
        }));
        assert!(poll_once(&mut leader).is_pending());
        // On this very thread, which is the one that would have to poll the leader.
        let plain = cache.fetch(&7).load_blocking(Share::none(), |_| 20);
        assert_eq!((plain.result, plain.outcome), (20, Outcome::Uncached));
        assert_eq!((cache.peek(&7).await, cache.stats().waits), (None, 0));
        gate.open();
        assert_eq!(leader.await, 10);
        assert_eq!(cache.blocking().get_or_load(&7, || 30), 10);
    });
}

/// A plain leader that panics leaves its flight to whoever waits. If that is an async caller, the flight has an async leader from then on,
/// and what holds for those holds for it.
#[test]
fn a_plain_caller_does_not_wait_for_a_flight_that_became_async() {
    in_time(|| {
        let cache: Cache<u64, u64> = Cache::builder("patient")
            .wait_timeout(Duration::MAX)
            .build()
            .unwrap();
        let (gate, held) = (Gate::default(), Gate::default());
        let mut waiter = Box::pin(cache.get_or_load(&7, || async {
            held.pass().await;
            10
        }));
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| {
                cache.blocking().get_or_load(&7, || -> u64 {
                    gate.pass_blocking();
                    panic!("the body");
                })
            });
            until_blocking("it leads", || gate.arrived() == 1);
            assert!(poll_once(&mut waiter).is_pending());
            gate.open();
            assert!(leader.join().is_err());
        });
        assert!(
            poll_once(&mut waiter).is_pending(),
            "it leads now, and is held"
        );
        assert_eq!(held.arrived(), 1);
        let plain = cache.fetch(&7).load_blocking(Share::none(), |_| 20);
        assert_eq!((plain.result, plain.outcome), (20, Outcome::Uncached));
        held.open();
        assert_eq!(poll_once(&mut waiter), Poll::Ready(10));
    });
}

/// The same, for a plain caller that was waiting when it happened.
#[test]
fn a_plain_caller_stops_waiting_for_a_flight_that_becomes_async() {
    in_time(|| {
        let cache: Cache<u64, u64> = Cache::builder("patient")
            .wait_timeout(Duration::MAX)
            .build()
            .unwrap();
        let (gate, held) = (Gate::default(), Gate::default());
        let mut waiter = Box::pin(cache.get_or_load(&7, || async {
            held.pass().await;
            10
        }));
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| {
                cache.blocking().get_or_load(&7, || -> u64 {
                    gate.pass_blocking();
                    panic!("the body");
                })
            });
            until_blocking("it leads", || gate.arrived() == 1);
            assert!(
                poll_once(&mut waiter).is_pending(),
                "the async caller is the first to wait"
            );
            let plain = scope.spawn(|| cache.fetch(&7).load_blocking(Share::none(), |_| 20).result);
            until_blocking("both wait", || cache.stats().waits == 2);
            gate.open();
            assert!(leader.join().is_err());
            // The async caller has the flight, and nobody polls it: its thread might be the one that waits.
            assert_eq!(plain.join().unwrap(), 20);
        });
        held.open();
        assert_eq!(poll_once(&mut waiter), Poll::Ready(10));
    });
}

#[test]
fn a_second_look_finds_what_landed_a_moment_ago() {
    on_tokio(0, async || {
        // Two callers miss; the first loads and is gone before the second asks for a flight. Here the second is stopped, between its look and its
        // flight, by the building of its owned key.
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
        let fetched = cache
            .fetch(&Borrowed(7))
            .load(Share::none(), |_| async { 2 })
            .await;
        assert_eq!((fetched.result, fetched.outcome), (1, Outcome::Hit));
        assert_eq!(cache.stats().loads, 1);
    });
}
