//! How a failure reaches those who waited, and what they do if it cannot.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hybridcache::{Cache, Fetched, Outcome, Share, SharedError};
use hybridcache_tests::{Gate, Runs, on_tokio, poll_once, settle, until};

use super::cache;

/// A thousand callers of a body that fails, with a way to share its error.
async fn all_get_the_error<E: std::fmt::Debug + Send + 'static>(share: Share<E>, fail: fn() -> E, check: fn(&E)) {
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
    assert_eq!((runs.count(), stats.loads, stats.load_failures, stats.entries), (1, 1, 1, 0));
    assert_eq!(cache.get_or_load(&7, || async { 8 }).await, 8, "the failure is over");
}

#[test]
fn a_failure_that_can_be_shared_is_everybodys() {
    on_tokio(0, async || {
        all_get_the_error::<String>(Share::cloned(), || "down".to_owned(), |error| assert_eq!(error, "down")).await;
        all_get_the_error::<io::Error>(
            Share::io(),
            || io::Error::new(io::ErrorKind::TimedOut, "down"),
            |error| assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::TimedOut, "down".to_owned())),
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
        all_get_the_error::<Opaque>(Share::text(), || Opaque("down".to_owned()), |error| assert_eq!(error.0, "down"))
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

/// Callers of a body that fails with an error nobody else can have, on one thread, where the order of things is
/// certain. Each run arrives, and ends when it is let go: true is a success.
struct Waves {
    cache: Cache<u64, u64>,
    arrived: Arc<AtomicUsize>,
    orders: tokio::sync::broadcast::Sender<(usize, bool)>,
}

impl Waves {
    fn new() -> Self {
        Self { cache: cache(), arrived: Arc::default(), orders: tokio::sync::broadcast::channel(64).0 }
    }

    fn caller(&self) -> tokio::task::JoinHandle<Fetched<Result<u64, ()>>> {
        let (cache, arrived, orders) = (self.cache.clone(), Arc::clone(&self.arrived), self.orders.clone());
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
            assert_eq!(waves.arrived().await, arrived, "as many run at once as have failed, and one more");
            while ended < arrived {
                assert_eq!(waves.arrived().await, arrived, "the next wave waits for all of this one");
                ended += 1;
                waves.end(ended, false);
            }
        }
        for caller in callers {
            let fetched = caller.await.unwrap();
            assert_eq!((fetched.result, fetched.outcome), (Err(()), Outcome::Loaded), "each had a run of its own");
        }
        assert_eq!((waves.cache.stats().load_failures, waves.cache.stats().waits), (40, 39));
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
        let times = |result, outcome| results.iter().filter(|of| **of == (result, outcome)).count();
        assert_eq!(times(Err(()), Outcome::Loaded), 1);
        assert_eq!(times(Ok(2), Outcome::Loaded), 1, "the slower one of the wave keeps its result to itself");
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
        assert_eq!(waves.arrived().await, 5, "two others take the places of the two");
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
fn a_failure_of_another_error_type_is_not_shared_but_ends_the_wait() {
    on_tokio(0, async || {
        let (cache, gate) = (cache(), Gate::default());
        let mut leader = Box::pin(cache.fetch(&7).load(Share::cloned(), |_| async {
            gate.pass().await;
            Err::<u64, _>("text".to_owned())
        }));
        assert!(poll_once(&mut leader).is_pending());
        let mut waiter = Box::pin(cache.fetch(&7).load(Share::cloned(), |_| async { Ok::<u64, u8>(5) }));
        assert!(poll_once(&mut waiter).is_pending());
        gate.open();
        assert!(leader.await.result.is_err());
        let waiter = waiter.await;
        assert_eq!((waiter.result, waiter.outcome), (Ok(5), Outcome::Uncached));
        assert_eq!(cache.stats().uncached, 1, "a body that ran without the right to keep its result");
    });
}

#[test]
fn an_uncached_run_that_fails_is_counted_as_a_failure() {
    on_tokio(0, async || {
        let cache: Cache<u64, u64> = Cache::builder("impatient").wait_timeout(Duration::ZERO).build().unwrap();
        let mut leader = Box::pin(cache.get_or_load(&7, std::future::pending::<u64>));
        assert!(poll_once(&mut leader).is_pending());
        let waiter = cache.fetch(&7).load(Share::cloned(), |_| async { Err::<u64, _>("down") }).await;
        assert_eq!((waiter.result, waiter.outcome), (Err("down"), Outcome::Uncached));
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.load_failures), (1, 1));
    });
}
