//! Flights, and fills against evictions, under a scheduler that tries interleavings: [`RUNS`] seeded schedules of each.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --target-dir target/shuttle -p hybridcache --lib shuttle`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::thread;

use super::Cache;

const RUNS: usize = 4_000;

fn cache() -> Cache<u64, u64> {
    // Without a limit to waits, whose timer would be outside of the scheduler.
    Cache::builder("shuttle").wait_timeout(Duration::MAX).build().unwrap()
}

/// Runs `scenario` under random schedules and under schedules that change threads at few, well-chosen points.
fn check(scenario: fn()) {
    shuttle::check_random(scenario, RUNS);
    shuttle::check_pct(scenario, RUNS, 3);
}

/// A source with a version, read and written like a database.
#[derive(Default)]
struct Source(shuttle::sync::atomic::AtomicU64);

impl Source {
    fn read(&self) -> u64 {
        let version = self.0.load(Ordering::SeqCst);
        // A load takes time, in which anything may happen.
        thread::yield_now();
        version
    }

    fn commit(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

fn reader(cache: &Cache<u64, u64>, source: &Arc<Source>) -> thread::JoinHandle<()> {
    let (cache, source) = (cache.clone(), Arc::clone(source));
    thread::spawn(move || {
        block_on(cache.get_or_load(&1, || async { source.read() }));
    })
}

#[test]
fn no_fill_survives_an_evict_that_came_after_its_read() {
    check(|| {
        let (cache, source) = (cache(), Arc::<Source>::default());
        let readers = [reader(&cache, &source), reader(&cache, &source)];
        let committed = source.commit();
        block_on(cache.evict(&1)).unwrap();
        let seen = block_on(cache.get_or_load(&1, || async { source.read() }));
        assert!(seen >= committed, "read {seen} after the evict of {committed} had returned");
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert!(block_on(cache.peek(&1)).is_none_or(|kept| kept >= committed));
    });
}

#[test]
fn no_fill_survives_a_clear_or_a_put() {
    check(|| {
        let (cache, source) = (cache(), Arc::<Source>::default());
        let slow = reader(&cache, &source);
        let committed = source.commit();
        block_on(cache.clear()).unwrap();
        assert!(block_on(cache.get_or_load(&1, || async { source.read() })) >= committed);
        let put = source.commit();
        block_on(cache.insert(&1, put)).unwrap();
        slow.join().unwrap();
        assert!(block_on(cache.peek(&1)).is_none_or(|kept| kept >= put));
    });
}

#[test]
fn two_writers_leave_the_newest_or_nothing() {
    check(|| {
        let (cache, source) = (cache(), Arc::<Source>::default());
        let writers = [(); 2].map(|()| {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            thread::spawn(move || {
                let write = block_on(cache.write(&1)).unwrap();
                thread::yield_now();
                let committed = source.commit();
                thread::yield_now();
                block_on(write.put(committed)).unwrap();
            })
        });
        let slow = reader(&cache, &source);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        slow.join().unwrap();
        let kept = block_on(cache.peek(&1));
        assert!(kept.is_none_or(|kept| kept == 2), "two writers are done and {kept:?} is kept");
    });
}

/// A caller that is polled once, which makes it lead or wait, and then dropped.
fn quitter(cache: &Cache<u64, u64>) -> thread::JoinHandle<()> {
    let cache = cache.clone();
    thread::spawn(move || {
        let load = cache.get_or_load(&1, || async {
            shuttle::future::yield_now().await;
            0
        });
        let mut load = std::pin::pin!(load);
        let _ = load.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        thread::yield_now();
    })
}

#[test]
fn a_flight_whose_leader_goes_is_taken_over_and_nobody_is_left_waiting() {
    check(|| {
        let cache = cache();
        let runs = Arc::new(AtomicU64::new(0));
        let quitters = [quitter(&cache), quitter(&cache)];
        let callers = [(); 2].map(|()| {
            let (cache, runs) = (cache.clone(), Arc::clone(&runs));
            thread::spawn(move || {
                let value = block_on(cache.get_or_load(&1, || async {
                    runs.fetch_add(1, Ordering::SeqCst);
                    shuttle::future::yield_now().await;
                    7
                }));
                assert_eq!(value, 7);
            })
        });
        quitters.into_iter().for_each(|quitter| quitter.join().unwrap());
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(runs.load(Ordering::SeqCst), 1, "one of the two loads, the other waits");
        assert_eq!(block_on(cache.peek(&1)), Some(7));
    });
}

#[test]
fn a_failing_wave_ends_and_a_success_is_kept() {
    check(|| {
        let cache = cache();
        let runs = Arc::new(AtomicU64::new(0));
        let callers = [(); 3].map(|()| {
            let (cache, runs) = (cache.clone(), Arc::clone(&runs));
            thread::spawn(move || {
                block_on(cache.get_or_load(&1, || async {
                    let run = runs.fetch_add(1, Ordering::SeqCst);
                    shuttle::future::yield_now().await;
                    if run == 0 { Err(()) } else { Ok(7) }
                }))
            })
        });
        let results = callers.map(|caller| caller.join().unwrap());
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
        assert_eq!(block_on(cache.peek(&1)), Some(7));
    });
}
