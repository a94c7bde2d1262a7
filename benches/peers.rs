//! The peers, each with the same lifetime and bounds as our functions, as their own documentation uses them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use amalgam::EntryOptions;
use cached::macros::{cached, concurrent_cached};
use cached::{Cached, ConcurrentCached};
use hybridcache_benches::cases::{COLD, Row, Subject, WARM, WIDE, async_hit, hit, name, ready, row, warm};
use hybridcache_benches::work::{Work, awaited, plain, timed, timed_after};

const HOUR: Duration = Duration::from_secs(3_600);

/// One lock around one list.
pub(crate) const CACHED: Subject = {
    #[cached(max_size = 10_000, ttl_secs = 3_600, name = "ONE_USER")]
    fn user(id: u64) -> Arc<Row> {
        row(id)
    }

    #[cached(max_size = 1_000, ttl_secs = 3_600, name = "ONE_COLD")]
    fn cold(id: u64) -> Arc<Row> {
        ready(id)
    }

    #[cached(max_size = 131_072, ttl_secs = 3_600, name = "ONE_SHELF")]
    fn shelf(id: u64) -> Arc<Row> {
        ready(id)
    }

    let _ = shelf;
    Subject {
        hit: |threads| hit(threads, user),
        miss: |threads| timed(threads, plain(cold)),
        put: |threads| timed(threads, plain(|i| ONE_SHELF.write().cache_set(warm(i), ready(i)))),
        evict: |threads| {
            let fill = plain(|i| ONE_SHELF.write().cache_set(i, ready(i)));
            timed_after(fill, threads, plain(|i| ONE_SHELF.write().cache_remove(&i)))
        },
    }
};

/// Hits where the body runs once for callers that come at the same time.
pub(crate) const CACHED_BY_KEY_HIT: fn(u64) -> Work = {
    #[cached(max_size = 10_000, ttl_secs = 3_600, sync_writes = "by_key", name = "ONCE_USER")]
    fn user(id: u64) -> Arc<Row> {
        row(id)
    }

    |threads| hit(threads, user)
};

/// Misses of that kind.
pub(crate) const CACHED_BY_KEY_MISS: fn(u64) -> Work = {
    #[cached(max_size = 1_000, ttl_secs = 3_600, sync_writes = "by_key", name = "ONCE_COLD")]
    fn cold(id: u64) -> Arc<Row> {
        ready(id)
    }

    |threads| timed(threads, plain(cold))
};

/// A lock for each shard.
pub(crate) const CONCURRENT_CACHED: Subject = {
    #[concurrent_cached(max_size = 10_000, ttl_secs = 3_600, name = "MANY_USER")]
    fn user(id: u64) -> Arc<Row> {
        row(id)
    }

    #[concurrent_cached(max_size = 1_000, ttl_secs = 3_600, name = "MANY_COLD")]
    fn cold(id: u64) -> Arc<Row> {
        ready(id)
    }

    #[concurrent_cached(max_size = 131_072, ttl_secs = 3_600, name = "MANY_SHELF")]
    fn shelf(id: u64) -> Arc<Row> {
        ready(id)
    }

    let _ = shelf;
    Subject {
        hit: |threads| hit(threads, user),
        miss: |threads| timed(threads, plain(cold)),
        put: |threads| timed(threads, plain(|i| MANY_SHELF.cache_set(warm(i), ready(i)))),
        evict: |threads| {
            let fill = plain(|i| MANY_SHELF.cache_set(i, ready(i)));
            timed_after(fill, threads, plain(|i| MANY_SHELF.cache_remove(&i)))
        },
    }
};

fn moka(capacity: usize) -> moka::sync::Cache<u64, Arc<Row>> {
    moka::sync::Cache::builder().max_capacity(capacity as u64).time_to_live(HOUR).build()
}

/// moka from plain functions.
pub(crate) const MOKA: Subject = Subject {
    hit: |threads| {
        let cache = moka(WARM);
        hit(threads, move |id| cache.get_with(id, || row(id)))
    },
    miss: |threads| {
        let cache = moka(COLD);
        timed(threads, plain(move |id| cache.get_with(id, || ready(id))))
    },
    put: |threads| {
        let cache = moka(WIDE);
        timed(threads, plain(move |i| cache.insert(warm(i), ready(i))))
    },
    evict: |threads| {
        let cache = moka(WIDE);
        let filled = cache.clone();
        timed_after(plain(move |i| filled.insert(i, ready(i))), threads, plain(move |i| cache.invalidate(&i)))
    },
};

fn moka_future(capacity: usize) -> moka::future::Cache<u64, Arc<Row>> {
    moka::future::Cache::builder().max_capacity(capacity as u64).time_to_live(HOUR).build()
}

/// moka from async functions.
pub(crate) const MOKA_FUTURE: Subject = Subject {
    hit: |threads| {
        let cache = moka_future(WARM);
        async_hit(threads, async move |id| cache.get_with(id, async { row(id) }).await)
    },
    miss: |threads| {
        let cache = moka_future(COLD);
        timed(threads, awaited(async move |id| cache.get_with(id, async { ready(id) }).await))
    },
    put: |threads| {
        let cache = moka_future(WIDE);
        timed(threads, awaited(async move |i| cache.insert(warm(i), ready(i)).await))
    },
    evict: |threads| {
        let cache = moka_future(WIDE);
        let filled = cache.clone();
        let fill = awaited(async move |i| filled.insert(i, ready(i)).await);
        timed_after(fill, threads, awaited(async move |i| cache.invalidate(&i).await))
    },
};

fn amalgam(capacity: usize) -> amalgam::Cache<Arc<Row>> {
    let builder = amalgam::Cache::builder().max_capacity(capacity as u64).default_options(EntryOptions::new(HOUR));
    builder.try_build().expect("the options are right")
}

/// amalgam; its keys are texts.
pub(crate) const AMALGAM: Subject = Subject {
    hit: |threads| {
        let cache = amalgam(WARM);
        async_hit(threads, async move |i| cache.get_or_set(name(i), async move |_| Ok::<_, Infallible>(row(i))).await)
    },
    miss: |threads| {
        let cache = amalgam(COLD);
        timed(
            threads,
            awaited(async move |i| cache.get_or_set(name(i), async move |_| Ok::<_, Infallible>(ready(i))).await),
        )
    },
    put: |threads| {
        let cache = amalgam(WIDE);
        timed(threads, awaited(async move |i| cache.set(name(warm(i)), ready(i)).await))
    },
    evict: |threads| {
        let cache = amalgam(WIDE);
        let filled = cache.clone();
        let fill = awaited(async move |i| filled.set(name(i), ready(i)).await);
        timed_after(fill, threads, awaited(async move |i| cache.remove(name(i)).await))
    },
};
