//! Bodies that call cached functions: recursion ends, and nobody waits in a circle.

use std::pin::Pin;
use std::time::Duration;

use hybridcache::{Cache, Outcome, Share};
use hybridcache_tests::{Gate, Runs, in_time, on_tokio, poll_once, until};

/// A cache whose waits end only by what they wait for.
fn cache() -> Cache<u64, u64> {
    Cache::builder("cycles").wait_timeout(Duration::MAX).build().unwrap()
}

#[test]
fn a_body_that_asks_for_its_own_key_runs_by_itself() {
    on_tokio(0, async || {
        let cache = cache();
        let mut inner = None;
        let outer = cache
            .fetch(&1)
            .load(Share::none(), |_| async {
                let again = cache.fetch(&1).load(Share::none(), |_| async { 10 }).await;
                inner = Some((again.result, again.outcome));
                again.result + 1
            })
            .await;
        assert_eq!((outer.result, outer.outcome), (11, Outcome::Loaded));
        assert_eq!(inner, Some((10, Outcome::Uncached)));
        assert_eq!(cache.get(&1).await, Some(11), "what the one that leads returns is kept");
        assert_eq!((cache.stats().uncached, cache.stats().waits), (1, 0));
    });
}

#[test]
fn a_plain_body_that_asks_for_its_own_key_runs_by_itself() {
    in_time(|| {
        let cache = cache();
        let plain = cache.blocking();
        assert_eq!(plain.get_or_load(&1, || plain.get_or_load(&1, || 10) + 1), 11);
        assert_eq!((plain.get(&1), cache.stats().uncached), (Some(11), 1));
    });
}

#[test]
fn a_plain_body_below_an_async_one_with_its_key_runs_by_itself() {
    in_time(|| {
        let cache = cache();
        let asks = cache.clone();
        let outer = hybridcache_tests::block_on(
            cache.get_or_load(&1, || async move { asks.blocking().get_or_load(&1, || 10) + 1 }),
        );
        assert_eq!((outer, cache.blocking().get(&1)), (11, Some(11)));
    });
}

#[test]
fn two_keys_that_need_each_other_in_one_task() {
    on_tokio(0, async || {
        let cache = cache();
        let value = cache
            .get_or_load(&1, || async {
                let two = cache.get_or_load(&2, || async {
                    let one = cache.fetch(&1).load(Share::none(), |_| async { 1 }).await;
                    assert_eq!(one.outcome, Outcome::Uncached);
                    one.result + 10
                });
                two.await + 100
            })
            .await;
        assert_eq!(value, 111);
        assert_eq!((cache.get(&1).await, cache.get(&2).await), (Some(111), Some(11)));
    });
}

#[test]
fn a_waiter_that_leads_in_the_end_does_not_wait_for_the_body_it_waited_in() {
    on_tokio(0, async || {
        let cache = cache();
        let mut first: Pin<Box<dyn Future<Output = u64> + '_>> = Box::pin(cache.get_or_load(&2, std::future::pending));
        assert!(poll_once(&mut first).is_pending());
        let mut outer = Box::pin(cache.get_or_load(&1, || async {
            let two = cache.get_or_load(&2, || async {
                let one = cache.fetch(&1).load(Share::none(), |_| async { 1 }).await;
                assert_eq!(one.outcome, Outcome::Uncached);
                one.result + 10
            });
            two.await + 100
        }));
        assert!(poll_once(&mut outer).is_pending());
        drop(first);
        assert_eq!(outer.await, 111);
    });
}

/// Two tasks lead a key each, and ask for the other's.
async fn cross(cache: &Cache<u64, u64>, other: &Cache<u64, u64>) -> (u64, u64) {
    let lead = |cache: Cache<u64, u64>, own: u64, other: Cache<u64, u64>, its: u64, gate: Gate| {
        tokio::spawn(async move {
            cache
                .get_or_load(&own, || async {
                    gate.pass().await;
                    other.get_or_load(&its, || async { 1 }).await + 10
                })
                .await
        })
    };
    let gate = Gate::default();
    let first = lead(cache.clone(), 1, other.clone(), 2, gate.clone());
    let second = lead(other.clone(), 2, cache.clone(), 1, gate.clone());
    until("both lead", || gate.arrived() == 2).await;
    gate.open();
    (first.await.unwrap(), second.await.unwrap())
}

#[test]
fn two_tasks_that_need_each_others_key() {
    on_tokio(2, async || {
        for _ in 0..200 {
            let cache = cache();
            let (first, second) = cross(&cache, &cache).await;
            assert!(
                (first, second) == (11, 21) || (first, second) == (21, 11),
                "{first} {second}: one runs by itself, the other waits for it"
            );
            assert_eq!((cache.stats().uncached, cache.stats().waits), (1, 1));
        }
    });
}

#[test]
fn a_circle_through_two_caches_is_seen_too() {
    on_tokio(2, async || {
        for _ in 0..200 {
            let (one, other) = (cache(), cache());
            let (first, second) = cross(&one, &other).await;
            assert!((first, second) == (11, 21) || (first, second) == (21, 11), "{first} {second}");
            assert_eq!(one.stats().uncached + other.stats().uncached, 1);
        }
    });
}

#[test]
fn two_threads_that_need_each_others_key() {
    in_time(|| {
        for _ in 0..200 {
            let (cache, gate) = (cache(), Gate::default());
            let lead = |own: u64, its: u64| {
                cache.blocking().get_or_load(&own, || {
                    gate.pass_blocking();
                    cache.blocking().get_or_load(&its, || 1) + 10
                })
            };
            std::thread::scope(|scope| {
                let first = scope.spawn(|| lead(1, 2));
                let second = scope.spawn(|| lead(2, 1));
                hybridcache_tests::until_blocking("both lead", || gate.arrived() == 2);
                gate.open();
                let both = (first.join().unwrap(), second.join().unwrap());
                assert!(both == (11, 21) || both == (21, 11), "{both:?}");
            });
            assert_eq!((cache.stats().uncached, cache.stats().waits), (1, 1));
        }
    });
}

#[test]
fn a_ring_of_five_is_broken_once() {
    on_tokio(2, async || {
        for _ in 0..50 {
            let (cache, gate) = (cache(), Gate::default());
            let tasks: Vec<_> = (0..5_u64)
                .map(|own| {
                    let (cache, gate) = (cache.clone(), gate.clone());
                    tokio::spawn(async move {
                        cache
                            .get_or_load(&own, || async {
                                gate.pass().await;
                                cache.get_or_load(&((own + 1) % 5), || async { 0 }).await + 1
                            })
                            .await
                    })
                })
                .collect();
            until("all lead", || gate.arrived() == 5).await;
            gate.open();
            let mut values = Vec::new();
            for task in tasks {
                values.push(task.await.unwrap());
            }
            values.sort_unstable();
            assert_eq!(values, [1, 2, 3, 4, 5]);
            assert_eq!(cache.stats().uncached, 1);
        }
    });
}

#[test]
fn a_circle_through_join_in_one_task() {
    on_tokio(0, async || {
        let cache = cache();
        let value = cache
            .get_or_load(&1, || async {
                let (two, three) = tokio::join!(
                    cache.get_or_load(&2, || async {
                        tokio::task::yield_now().await;
                        2
                    }),
                    cache.get_or_load(&3, || async {
                        tokio::task::yield_now().await;
                        cache.get_or_load(&1, || async { 1 }).await + 3
                    }),
                );
                two + three
            })
            .await;
        assert_eq!(value, 6);
        assert_eq!((cache.stats().uncached, cache.stats().waits), (1, 0));
    });
}

#[test]
fn a_circle_through_join_over_two_tasks() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        // One leads 3 and will ask for 1, while the other leads 1 and asks for 2 and 3 at once.
        let third = {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move {
                cache
                    .get_or_load(&3, || async {
                        gate.pass().await;
                        cache.get_or_load(&1, || async { 1 }).await + 30
                    })
                    .await
            })
        };
        until("it leads", || gate.arrived() == 1).await;
        let opener = gate.clone();
        let asks = cache.clone();
        let first = tokio::spawn(async move {
            asks.get_or_load(&1, || async {
                let (two, three) = tokio::join!(
                    asks.get_or_load(&2, || async {
                        opener.open();
                        for _ in 0..20 {
                            tokio::task::yield_now().await;
                        }
                        2
                    }),
                    asks.get_or_load(&3, || async { 3 }),
                );
                two + three
            })
            .await
        });
        let (first, third) = (first.await.unwrap(), third.await.unwrap());
        assert_eq!((first, third), (33, 31), "1 waits for 3, so 3 may not wait for 1");
        assert_eq!((cache.get(&1).await, cache.get(&2).await, cache.get(&3).await), (Some(33), Some(2), Some(31)));
        assert_eq!(cache.stats().uncached, 1);
    });
}

#[test]
fn two_askers_of_one_key_inside_one_body_wait_for_each_other_in_no_circle() {
    on_tokio(0, async || {
        let (cache, runs) = (cache(), Runs::default());
        let value = cache
            .get_or_load(&1, || async {
                let ask = || {
                    cache.get_or_load(&2, || async {
                        tokio::task::yield_now().await;
                        runs.run() * 10
                    })
                };
                let (a, b) = tokio::join!(ask(), ask());
                a + b
            })
            .await;
        assert_eq!((value, runs.count(), cache.stats().waits), (20, 1, 1));
    });
}

#[test]
fn the_loser_of_a_select_leaves_no_trace() {
    on_tokio(0, async || {
        let cache = cache();
        let value = cache
            .get_or_load(&1, || async {
                tokio::select! {
                    biased;
                    never = cache.get_or_load(&2, std::future::pending::<u64>) => never,
                    value = async { tokio::task::yield_now().await; 5 } => value,
                }
            })
            .await;
        assert_eq!(value, 5);
        // Had the edge from 1 to 2 stayed, or 2 been left led, this would run uncached or hang.
        let two = cache.fetch(&2).load(Share::none(), |_| async { cache.get_or_load(&1, || async { 0 }).await }).await;
        assert_eq!((two.result, two.outcome), (5, Outcome::Loaded));
    });
}

#[test]
fn a_body_may_wait_for_a_flight_that_does_not_lead_back() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        let mut other = Box::pin(cache.get_or_load(&2, || gate.then(2)));
        assert!(poll_once(&mut other).is_pending());
        let mut first = Box::pin(
            cache.fetch(&1).load(Share::none(), |_| async { cache.get_or_load(&2, || async { 99 }).await + 1 }),
        );
        assert!(poll_once(&mut first).is_pending());
        gate.open();
        assert_eq!(other.await, 2);
        assert_eq!(first.await.result, 3, "it was waited for");
        assert_eq!((cache.stats().waits, cache.stats().uncached), (1, 0));
    });
}

fn fibonacci<'c>(cache: &'c Cache<u64, u64>, runs: &'c Runs, n: u64) -> Pin<Box<dyn Future<Output = u64> + 'c>> {
    Box::pin(async move {
        cache
            .get_or_load(&n, || async move {
                runs.run();
                if n < 2 { n } else { fibonacci(cache, runs, n - 1).await + fibonacci(cache, runs, n - 2).await }
            })
            .await
    })
}

#[test]
fn recursion_over_different_keys_runs_each_once() {
    on_tokio(0, async || {
        let (cache, runs) = (cache(), Runs::default());
        assert_eq!(fibonacci(&cache, &runs, 90).await, 2_880_067_194_370_816_120);
        assert_eq!((runs.count(), cache.len(), cache.stats().uncached), (91, 91, 0));
    });
}

#[test]
fn plain_recursion_over_different_keys_runs_each_once() {
    fn fibonacci(cache: &Cache<u64, u64>, runs: &Runs, n: u64) -> u64 {
        cache.blocking().get_or_load(&n, || {
            runs.run();
            if n < 2 { n } else { fibonacci(cache, runs, n - 1) + fibonacci(cache, runs, n - 2) }
        })
    }
    let (cache, runs) = (cache(), Runs::default());
    assert_eq!(fibonacci(&cache, &runs, 90), 2_880_067_194_370_816_120);
    assert_eq!((runs.count(), cache.len(), cache.stats().uncached), (91, 91, 0));
}

#[test]
fn recursion_from_many_tasks_at_once_ends() {
    on_tokio(4, async || {
        let (cache, runs) = (cache(), Runs::default());
        let tasks: Vec<_> = (0..200_u64)
            .map(|task| {
                let (cache, runs) = (cache.clone(), runs.clone());
                tokio::spawn(async move {
                    let n = 40 + task % 50;
                    // Boxed futures of this test are not `Send`, and need not be: each is polled here.
                    let local =
                        tokio::task::spawn_blocking(move || hybridcache_tests::block_on(fibonacci(&cache, &runs, n)));
                    (n, local.await.unwrap())
                })
            })
            .collect();
        for task in tasks {
            let (n, value) = task.await.unwrap();
            let expected = (0..n).fold((0_u64, 1_u64), |(a, b), _| (b, a + b)).0;
            assert_eq!(value, expected);
        }
        assert_eq!(cache.len(), 90);
    });
}
