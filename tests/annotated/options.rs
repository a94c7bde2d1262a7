//! What each option does.

use std::time::{Duration, Instant};

use hybridcache::{Cache, CacheManager, cached};
use hybridcache_tests::{Gate, Runs, on_tokio, until};

use super::NotFound;

/// Calls until the body has run a second time, and returns how long that took and the longest pause between two calls.
async fn until_second<T>(runs: &Runs, call: impl AsyncFn() -> T) -> (Duration, Duration) {
    let start = Instant::now();
    call().await;
    let (mut before, mut longest) = (start, Duration::ZERO);
    loop {
        call().await;
        let now = Instant::now();
        longest = longest.max(now - before);
        before = now;
        if runs.count() > 1 {
            return (start.elapsed(), longest);
        }
        assert!(start.elapsed() < hybridcache_tests::LIMIT);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn lifetimes_end() {
    const LIFE: Duration = Duration::from_millis(60);
    #[cached(ttl = "60ms", skip(runs))]
    async fn literal(runs: &Runs) -> u64 {
        runs.run()
    }
    #[cached(ttl = LIFE * 2, skip(runs))]
    async fn expression(runs: &Runs) -> u64 {
        runs.run()
    }
    #[cached(ttl = "1h", none_ttl = "60ms", skip(runs))]
    async fn nothing(runs: &Runs) -> Option<u64> {
        runs.run();
        None
    }
    #[cached(err_ttl = "60ms", skip(runs))]
    async fn error(runs: &Runs) -> Result<u64, NotFound> {
        Err(NotFound(runs.run()))
    }
    // A deadline is up to a tick of the kernel's clock early.
    let tick = Duration::from_millis(11);
    let runs = Runs::default();
    assert!(until_second(&runs, async || literal(&runs).await).await.0 + tick >= LIFE);
    let runs = Runs::default();
    assert!(until_second(&runs, async || expression(&runs).await).await.0 + tick >= LIFE * 2);
    let runs = Runs::default();
    assert!(until_second(&runs, async || nothing(&runs).await).await.0 + tick >= LIFE);
    let runs = Runs::default();
    assert!(until_second(&runs, async || error(&runs).await).await.0 + tick >= LIFE);
}

#[tokio::test]
async fn hits_renew_a_sliding_lifetime_until_its_cap() {
    #[cached(sliding = "200ms", max_age = "500ms", skip(runs))]
    async fn capped(runs: &Runs) -> u64 {
        runs.run()
    }
    #[cached(ttl = "200ms", sliding, max_age = "500ms", skip(runs))]
    async fn renewed_ttl(runs: &Runs) -> u64 {
        runs.run()
    }
    #[cached(ttl = "500ms", sliding = "200ms", skip(runs))]
    async fn by_ttl(runs: &Runs) -> u64 {
        runs.run()
    }
    let check = |(lived, pause): (Duration, Duration)| {
        // A machine that stood still for longer than the entry slides has shown nothing.
        let ticks = Duration::from_millis(22);
        assert!(
            lived + ticks >= Duration::from_millis(500) || pause + ticks >= Duration::from_millis(200),
            "{lived:?} {pause:?}"
        );
    };
    let runs = Runs::default();
    check(until_second(&runs, async || capped(&runs).await).await);
    let runs = Runs::default();
    check(until_second(&runs, async || renewed_ttl(&runs).await).await);
    let runs = Runs::default();
    check(until_second(&runs, async || by_ttl(&runs).await).await);
}

#[test]
fn bounds_are_kept() {
    #[cached(capacity = 3)]
    fn few(n: u64) -> u64 {
        n
    }
    #[cached(max_weight = "1KiB", weigh = |_key, value| value.len() as u64)]
    fn heavy(n: u64) -> String {
        "x".repeat(n as usize)
    }

    for n in 0..100 {
        assert_eq!(few(n), n);
        assert_eq!(heavy(n).len() as u64, n);
        assert!(few::stats().entries <= 3);
        assert!(heavy::stats().weight <= 1_024);
    }
    assert_eq!(few::cache().len(), 3);
    assert_eq!(heavy::peek(&65), None, "more than a sixteenth of the bound is not kept");
}

#[test]
fn store_if_and_when_choose() {
    #[cached(store_if = |value| value % 2 == 0, skip(runs))]
    fn even(n: u64, runs: &Runs) -> u64 {
        runs.run();
        n
    }
    #[cached(when = *n < 10 || fresh, key(n))]
    fn small(n: &u64, fresh: bool) -> String {
        format!("{n} {fresh}")
    }

    let runs = Runs::default();
    for _ in 0..2 {
        assert_eq!((even(1, &runs), even(2, &runs)), (1, 2));
    }
    assert_eq!(runs.count(), 3);
    assert_eq!((small(&1, false), small(&1, true)), ("1 false".to_owned(), "1 false".to_owned()));
    assert_eq!(
        (small(&10, false), small(&10, false), small::peek(&10)),
        ("10 false".to_owned(), "10 false".to_owned(), None)
    );
    assert_eq!(small(&10, true), "10 true");
    let stats = small::stats();
    assert_eq!((stats.bypassed, stats.hits, stats.misses), (2, 1, 2));
}

#[tokio::test]
async fn when_of_an_async_fn_bypasses() {
    #[cached(when = id != 0)]
    async fn value(id: u64) -> Result<u64, NotFound> {
        Ok(id)
    }

    assert_eq!((value(0).await, value(0).await, value(1).await, value(1).await), (Ok(0), Ok(0), Ok(1), Ok(1)));
    let stats = value::stats();
    assert_eq!((stats.bypassed, stats.hits, stats.misses, stats.entries), (2, 1, 1, 1));
}

#[test]
fn names_and_versions() {
    #[cached(name = "prices", version = 3)]
    fn named(n: u64) -> u64 {
        n
    }
    #[cached]
    fn by_path(n: u64) -> u64 {
        n
    }

    named(1);
    by_path(1);
    assert_eq!((named::cache().name(), named::cache().version()), ("prices", 3));
    assert_eq!(
        (by_path::cache().name(), by_path::cache().version()),
        (concat!(module_path!(), "::names_and_versions::by_path"), 1)
    );
    let found: Cache<u64, u64> = CacheManager::current().cache("prices").unwrap();
    assert_eq!(found.blocking().peek(&1), Some(1));
}

#[test]
fn without_single_flight_everybody_loads() {
    #[cached(single_flight = off, skip(gate))]
    async fn all(id: u64, gate: &Gate) -> u64 {
        gate.pass().await;
        id
    }

    on_tokio(0, async || {
        let gate = Gate::default();
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let gate = gate.clone();
                tokio::spawn(async move { all(7, &gate).await })
            })
            .collect();
        until("all are in", || gate.arrived() == 10).await;
        gate.open();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 7);
        }
        assert_eq!((all::stats().loads, all::stats().waits), (10, 0));
    });
}

#[tokio::test]
async fn a_wait_is_given_up() {
    #[cached(
        wait_timeout = "20ms",
        single_flight = process,
        tier = memory,
        policy = s3fifo,
        jitter = "10%",
        skip(gate)
    )]
    async fn slow(id: u64, gate: &Gate) -> u64 {
        gate.pass().await;
        id
    }

    let gate = Gate::default();
    let leader = {
        let gate = gate.clone();
        tokio::spawn(async move { slow(7, &gate).await })
    };
    until("it leads", || gate.arrived() == 1).await;
    let open = Gate::default();
    open.open();
    assert_eq!(slow(7, &open).await, 7);
    assert_eq!((slow::stats().wait_timeouts, slow::stats().uncached), (1, 1));
    gate.open();
    assert_eq!(leader.await.unwrap(), 7);
}

#[test]
fn handles_have_another_name_or_are_not_there() {
    #[cached(handle = NameCache)]
    fn name(id: u64) -> u64 {
        id
    }
    #[cached(handle = false, name = "hidden")]
    fn hidden(id: u64) -> u64 {
        id
    }
    #[cached(handle = false, when = id != 0, name = "hidden too")]
    async fn hidden_too(id: u64) -> Result<u64, NotFound> {
        if id == 1 {
            return Err(NotFound(1));
        }
        Ok(id)
    }

    assert_eq!((NameCache::peek(&7), name(7), NameCache::peek(&7)), (None, 7, Some(7)));
    assert_eq!((hidden(7), hidden(7)), (7, 7));
    let found: Cache<u64, u64> = CacheManager::current().cache("hidden").unwrap();
    assert_eq!(found.stats().hits, 1);
    hybridcache_tests::block_on(async {
        assert_eq!(
            (hidden_too(0).await, hidden_too(1).await, hidden_too(2).await, hidden_too(2).await),
            (Ok(0), Err(NotFound(1)), Ok(2), Ok(2))
        );
    });
    let found: Cache<u64, u64> = CacheManager::current().cache("hidden too").unwrap();
    assert_eq!((found.stats().hits, found.stats().bypassed, found.stats().load_failures), (1, 1, 1));
}

#[test]
fn a_given_cache_is_used() {
    static CACHE: std::sync::LazyLock<Cache<u64, u64>> =
        std::sync::LazyLock::new(|| Cache::builder("given").capacity(5).build().unwrap());
    #[cached(cache = CACHE)]
    fn one(id: u64) -> u64 {
        id + 1
    }
    #[cached(cache = &CACHE, handle = OtherHandle)]
    fn other(id: u64) -> u64 {
        id + 2
    }
    #[cached(cache = cache, key(id), handle = false)]
    async fn injected(cache: &Cache<u64, u64>, id: u64) -> u64 {
        id + 3
    }

    assert_eq!((one(1), other(1), one::peek(&1)), (2, 2, Some(2)), "one store");
    OtherHandle::evict(&1).unwrap();
    assert_eq!((other(1), one(1)), (3, 3));
    let cache: Cache<u64, u64> = Cache::builder("injected").build().unwrap();
    assert_eq!(hybridcache_tests::block_on(injected(&cache, 1)), 4);
    assert_eq!(cache.blocking().peek(&1), Some(4));
    assert_eq!(hybridcache_tests::block_on(injected(&CACHE, 1)), 3);
}

#[test]
fn the_runtime_may_have_another_path() {
    mod mine {
        pub(crate) mod deep {
            pub(crate) use hybridcache as renamed;
        }
    }
    #[cached(crate = mine::deep::renamed)]
    fn value(id: u64) -> u64 {
        id
    }

    assert_eq!((value(1), value(1), value::stats().hits), (1, 1, 1));
}

#[tokio::test]
async fn an_option_that_turns_out_wrong_makes_the_function_run_uncached() {
    fn zero() -> Duration {
        Duration::ZERO
    }
    #[cached(ttl = zero(), skip(runs))]
    async fn wrong(id: u64, runs: &Runs) -> Result<u64, NotFound> {
        runs.run();
        Ok(id)
    }

    let runs = Runs::default();
    for _ in 0..3 {
        assert_eq!(wrong(7, &runs).await, Ok(7));
    }
    assert_eq!((runs.count(), wrong::stats().entries), (3, 0));
}
