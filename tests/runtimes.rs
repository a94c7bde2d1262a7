//! A cache outlives the runtimes it is used on, and needs none.

use std::sync::LazyLock;
use std::time::Duration;

use hybridcache::{Cache, Outcome, Share};
use hybridcache_tests::{Gate, Runs, block_on, in_time, leader_that_panics, poll_once, until, until_blocking};
use tokio::runtime::{Builder, Runtime};

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

#[test]
fn one_static_cache_is_used_on_one_runtime_after_the_other() {
    in_time(|| {
        static CACHE: LazyLock<Cache<u64, u64>> =
            LazyLock::new(|| Cache::builder("static").ttl(Duration::from_secs(60)).build().unwrap());
        let runs = Runs::default();
        for round in 0..10_u64 {
            let runtime = if round % 2 == 0 { current_thread() } else { multi_thread() };
            runtime.block_on(async {
                let own = round + 1;
                let (again, fresh) = tokio::join!(
                    CACHE.get_or_load(&0, || async { runs.run() }),
                    CACHE.get_or_load(&own, || async {
                        tokio::task::yield_now().await;
                        round
                    })
                );
                assert_eq!((again, fresh), (1, round));
            });
        }
        assert_eq!((runs.count(), CACHE.len()), (1, 11));
    });
}

#[test]
fn a_leader_whose_runtime_is_dropped_leaves_its_flight_to_who_waits_elsewhere() {
    in_time(|| {
        for multi in [false, true] {
            let cache: Cache<u64, u64> = Cache::builder("orphan").wait_timeout(Duration::MAX).build().unwrap();
            let gate = Gate::default();
            let runtime = if multi { multi_thread() } else { current_thread() };
            let task = {
                let (cache, gate) = (cache.clone(), gate.clone());
                runtime.spawn(async move { cache.get_or_load(&7, || gate.then(1)).await })
            };
            runtime.block_on(until("it leads", || gate.arrived() == 1));
            let waiter = {
                let cache = cache.clone();
                std::thread::spawn(move || block_on(cache.fetch(&7).load(Share::none(), |_| async { 2 })))
            };
            until_blocking("the other waits", || cache.stats().waits == 1);
            drop(runtime);
            let waiter = waiter.join().unwrap();
            assert_eq!((waiter.result, waiter.outcome), (2, Outcome::Loaded));
            assert!(block_on(task).unwrap_err().is_cancelled());
            assert_eq!(cache.blocking().get(&7), Some(2));
        }
    });
}

#[test]
fn a_waiter_whose_runtime_is_dropped_is_passed_over() {
    in_time(|| {
        let cache: Cache<u64, u64> = Cache::builder("passed over").wait_timeout(Duration::MAX).build().unwrap();
        let (gate, others) = (Gate::default(), current_thread());
        std::thread::scope(|scope| {
            let leader = leader_that_panics(scope, &cache, &gate);
            let waiting = cache.clone();
            let task = others.spawn(async move { waiting.get_or_load(&7, || async { 1 }).await });
            others.block_on(until("it waits", || cache.stats().waits == 1));
            let last = scope.spawn(|| block_on(cache.get_or_load(&7, || async { 2 })));
            until_blocking("both wait", || cache.stats().waits == 2);
            drop(others);
            gate.open();
            assert!(leader.join().is_err());
            assert_eq!(last.join().unwrap(), 2);
            assert!(block_on(task).unwrap_err().is_cancelled());
        });
    });
}

/// Waits have a limit on a runtime that was built without a timer, and on none.
#[test]
fn a_wait_is_limited_without_a_timer_and_without_a_runtime() {
    in_time(|| {
        let cache: Cache<u64, u64> = Cache::builder("limited").wait_timeout(Duration::from_millis(10)).build().unwrap();
        let gate = Gate::default();
        std::thread::scope(|scope| {
            scope.spawn(|| block_on(cache.get_or_load(&7, || gate.then(1))));
            until_blocking("it leads", || gate.arrived() == 1);
            let wait = || cache.fetch(&7).load(Share::none(), |_| async { 2 });
            assert_eq!(current_thread().block_on(wait()).outcome, Outcome::Uncached);
            assert_eq!(multi_thread().block_on(wait()).outcome, Outcome::Uncached);
            assert_eq!(block_on(wait()).outcome, Outcome::Uncached);
            assert_eq!(cache.stats().wait_timeouts, 3);
            gate.open();
        });
        assert_eq!(cache.blocking().get(&7), Some(1));
    });
}

#[test]
fn a_plain_wait_is_limited() {
    in_time(|| {
        let cache: Cache<u64, u64> = Cache::builder("plain").wait_timeout(Duration::from_millis(10)).build().unwrap();
        let gate = Gate::default();
        std::thread::scope(|scope| {
            scope.spawn(|| cache.blocking().get_or_load(&7, || gate.then_blocking(1)));
            until_blocking("it leads", || gate.arrived() == 1);
            let waiter = cache.fetch(&7).load_blocking(Share::none(), |_| 2);
            assert_eq!((waiter.result, waiter.outcome), (2, Outcome::Uncached));
            gate.open();
        });
        assert_eq!((cache.blocking().get(&7), cache.stats().wait_timeouts), (Some(1), 1));
    });
}

/// A sweep runs the listener, and waits have their timers elsewhere.
#[test]
fn a_wait_is_limited_while_a_listener_takes_its_time() {
    in_time(|| {
        let (listens, loads) = (Gate::default(), Gate::default());
        let listener = listens.clone();
        let swept: Cache<u64, u64> = Cache::builder("swept")
            .ttl(Duration::from_millis(20))
            .sweep_interval(Duration::from_millis(1))
            .on_eviction(move |_, _, _| listener.pass_blocking())
            .build()
            .unwrap();
        swept.blocking().insert(&1, 1).unwrap();
        until_blocking("it is told", || listens.arrived() == 1);
        let cache: Cache<u64, u64> = Cache::builder("plain").wait_timeout(Duration::from_millis(10)).build().unwrap();
        let mut leader = Box::pin(cache.get_or_load(&7, || loads.then(1)));
        assert!(poll_once(&mut leader).is_pending());
        let waiter = block_on(cache.fetch(&7).load(Share::none(), |_| async { 2 }));
        assert_eq!((waiter.result, waiter.outcome), (2, Outcome::Uncached));
        listens.open();
    });
}

#[test]
fn async_verbs_work_without_any_runtime() {
    in_time(|| {
        let cache: Cache<u64, u64> =
            Cache::builder("none").ttl(Duration::from_secs(60)).capacity(20_000).build().unwrap();
        block_on(async {
            assert_eq!(cache.get_or_load(&1, || async { 10 }).await, 10);
            assert_eq!(cache.get_many(&[1, 2]).await, [Some(10), None]);
            cache.write(&1).await.unwrap().put(11).await.unwrap();
            assert_eq!(cache.refresh(&1, || async { 12 }).await, 12);
            for key in 0..10_000 {
                cache.insert(&key, key).await.unwrap();
            }
            cache.clear().await.unwrap();
            assert!(cache.is_empty());
        });
    });
}

#[test]
fn plain_verbs_work_inside_of_any_runtime() {
    in_time(|| {
        let ask = |cache: &Cache<u64, u64>| {
            let plain = cache.blocking();
            assert_eq!(plain.get_or_load(&1, || 10), 10);
            plain.evict(&1).unwrap();
            assert_eq!(plain.refresh(&2, || 20), 20);
            plain.clear().unwrap();
        };
        let cache: Cache<u64, u64> = Cache::builder("inside").build().unwrap();
        current_thread().block_on(async { ask(&cache) });
        multi_thread().block_on(async { ask(&cache) });
        multi_thread().block_on(async { tokio::task::block_in_place(|| ask(&cache)) });
        let of_task = cache.clone();
        multi_thread()
            .block_on(async { tokio::spawn(async move { tokio::task::block_in_place(|| ask(&of_task)) }).await })
            .unwrap();
        let of_blocking = cache.clone();
        current_thread().block_on(async { tokio::task::spawn_blocking(move || ask(&of_blocking)).await }).unwrap();
    });
}

#[test]
fn a_plain_caller_inside_a_runtime_waits_for_a_plain_leader_elsewhere() {
    in_time(|| {
        for multi in [false, true] {
            let cache: Cache<u64, u64> = Cache::builder("elsewhere").wait_timeout(Duration::MAX).build().unwrap();
            let gate = Gate::default();
            std::thread::scope(|scope| {
                scope.spawn(|| cache.blocking().get_or_load(&7, || gate.then_blocking(1)));
                until_blocking("it leads", || gate.arrived() == 1);
                let waiter = scope.spawn(|| {
                    let wait = || cache.fetch(&7).load_blocking(Share::none(), |_| 2);
                    if multi {
                        multi_thread().block_on(async { tokio::task::block_in_place(wait) })
                    } else {
                        current_thread().block_on(async { wait() })
                    }
                });
                until_blocking("it waits", || cache.stats().waits == 1);
                gate.open();
                let waiter = waiter.join().unwrap();
                assert_eq!((waiter.result, waiter.outcome), (1, Outcome::Shared));
            });
        }
    });
}

/// All tasks of a current-thread runtime share one thread: a plain caller among them that waited for one of them would
/// wait for ever.
#[test]
fn plain_and_async_callers_mix_on_one_thread() {
    in_time(|| {
        let cache: Cache<u64, u64> = Cache::builder("mixed").wait_timeout(Duration::MAX).build().unwrap();
        current_thread().block_on(async {
            let gate = Gate::default();
            let tasks: Vec<_> = (0..20)
                .map(|number| {
                    let (cache, gate) = (cache.clone(), gate.clone());
                    tokio::spawn(async move {
                        if number % 2 == 0 {
                            cache.get_or_load(&7, || gate.then(1)).await
                        } else {
                            cache.blocking().get_or_load(&7, || 2)
                        }
                    })
                })
                .collect();
            until("all have asked", || cache.stats().misses == 20).await;
            gate.open();
            for (number, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), if number % 2 == 0 { 1 } else { 2 });
            }
        });
        assert_eq!((cache.blocking().get(&7), cache.stats().uncached), (Some(1), 10));
    });
}
