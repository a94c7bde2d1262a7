//! Leaders that are dropped or panic, and waiters that leave: the flight goes to whoever is left, and nobody hangs.

use std::task::Poll;

use hybridcache::{Fetched, Outcome, Share};
use hybridcache_tests::{Gate, Runs, on_tokio, poll_once, settle, until};

use super::cache;

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
                    let Fetched { result, outcome, .. } = fetched.await;
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
        assert_eq!(cache.stats().loads, 1, "a body that panicked did not return");
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
            assert!(result.unwrap_err().is_panic(), "each ran its own and met its own panic");
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
        assert_eq!(cache.get_or_load(&7, || async { 1 }).await, 1, "no flight is left behind");
    });
}

#[test]
fn a_waiter_dropped_just_after_it_was_promoted_passes_the_flight_on() {
    on_tokio(0, async || {
        let (cache, runs) = (cache(), Runs::default());
        let mut leader = Box::pin(cache.get_or_load(&7, std::future::pending::<u64>));
        assert!(poll_once(&mut leader).is_pending());
        let mut waiters: Vec<_> =
            (0..4).map(|_| Box::pin(cache.fetch(&7).load(Share::none(), |_| async { runs.run() * 10 }))).collect();
        for waiter in &mut waiters {
            assert!(poll_once(waiter).is_pending());
        }
        // Who is promoted is not polled before it is dropped: the first by the leader, the second by the first.
        drop(leader);
        drop(waiters.remove(0));
        drop(waiters.remove(0));
        let mut last = waiters.pop().unwrap();
        assert!(poll_once(&mut last).is_pending(), "the flight is the third's");
        let Poll::Ready(third) = poll_once(&mut waiters[0]) else { panic!("it leads") };
        assert_eq!((third.result, third.outcome), (10, Outcome::Loaded));
        let Poll::Ready(last) = poll_once(&mut last) else { panic!("it was served") };
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
            .map(|number| Box::pin(cache.fetch(&7).load(Share::none(), move |_| async move { number })))
            .collect();
        for waiter in &mut waiters {
            assert!(poll_once(waiter).is_pending());
        }
        let mut last = waiters.pop().unwrap();
        drop(waiters);
        drop(leader);
        let Poll::Ready(last) = poll_once(&mut last) else { panic!("it leads") };
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
            assert_eq!((fetched.result, fetched.outcome), (5, Outcome::Loaded), "{left_first} left first");
            cache.evict(&7).await.unwrap();
        }
    });
}
