//! Plain functions: they wait for one another, and never for an async leader.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hybridcache::{Cache, Outcome, Share, SingleFlight};
use hybridcache_tests::{Gate, Runs, in_time, leader_that_panics, on_tokio, poll_once, until, until_blocking};

use super::cache;

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
        assert_eq!((runs.count(), cache.stats().loads, cache.stats().uncached), (1, 1, 0));
    });
}

#[test]
fn plain_functions_survive_a_leader_that_panics() {
    in_time(|| {
        let (cache, runs, gate) = (cache(), Runs::default(), Gate::default());
        std::thread::scope(|scope| {
            let leader = leader_that_panics(scope, &cache, &gate);
            let waiters: Vec<_> =
                (0..8).map(|_| scope.spawn(|| cache.blocking().get_or_load(&7, || runs.run() * 10))).collect();
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
            std::thread::spawn(move || cache.blocking().get_or_load(&7, || gate.then_blocking(10)))
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
        let cache: Cache<u64, u64> = Cache::builder("patient").wait_timeout(Duration::MAX).build().unwrap();
        let gate = Gate::default();
        let mut leader = Box::pin(cache.get_or_load(&7, || gate.then(10)));
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

/// A plain leader that panics leaves its flight to whoever waits. If that is an async caller, the flight has an async
/// leader from then on, and what holds for those holds for it.
#[test]
fn a_plain_caller_does_not_wait_for_a_flight_that_became_async() {
    in_time(|| {
        let cache: Cache<u64, u64> = Cache::builder("patient").wait_timeout(Duration::MAX).build().unwrap();
        let (gate, held) = (Gate::default(), Gate::default());
        let mut waiter = Box::pin(cache.get_or_load(&7, || held.then(10)));
        std::thread::scope(|scope| {
            let leader = leader_that_panics(scope, &cache, &gate);
            assert!(poll_once(&mut waiter).is_pending());
            gate.open();
            assert!(leader.join().is_err());
        });
        assert!(poll_once(&mut waiter).is_pending(), "it leads now, and is held");
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
        let cache: Cache<u64, u64> = Cache::builder("patient").wait_timeout(Duration::MAX).build().unwrap();
        let (gate, held) = (Gate::default(), Gate::default());
        let mut waiter = Box::pin(cache.get_or_load(&7, || held.then(10)));
        std::thread::scope(|scope| {
            let leader = leader_that_panics(scope, &cache, &gate);
            assert!(poll_once(&mut waiter).is_pending(), "the async caller is the first to wait");
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

/// Notes by how many spans it is in.
#[derive(Clone, Default)]
struct Depth(Arc<AtomicUsize>);

impl tracing::Subscriber for Depth {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &tracing::span::Id) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn exit(&self, _: &tracing::span::Id) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn a_plain_body_runs_within_the_span_of_its_load_also_beside_others() {
    let depth = Depth::default();
    tracing::subscriber::with_default(depth.clone(), || {
        let inside = || depth.0.load(Ordering::Relaxed);
        for single_flight in [SingleFlight::Process, SingleFlight::Off] {
            let cache: Cache<u64, usize> = Cache::builder("spans").single_flight(single_flight).build().unwrap();
            assert_eq!(cache.blocking().get_or_load(&1, inside), 1, "{single_flight:?}");
            assert_eq!(inside(), 0);
        }
    });
}
