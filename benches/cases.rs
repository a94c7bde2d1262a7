//! Functions with the attribute, and the same by hand on quick_cache, which is what the memory tier is made of.

use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use hybridcache::cached;
use quick_cache::Equivalent;
use quick_cache::sync::Cache as Quick;
use rustix::time::{ClockId, clock_gettime};

use crate::work::{Work, awaited, plain, timed, timed_after};

/// How many keys the warm caches hold; all of them fit.
pub const KEYS: u64 = 4_096;
/// How many entries the warm caches may hold.
pub const WARM: usize = 10_000;
/// How many the cold ones may hold.
pub const COLD: usize = 1_000;
/// How many those may hold that are filled and emptied again, each thread [`BATCH`] keys at a time.
pub const WIDE: usize = 131_072;
/// See [`WIDE`].
pub const BATCH: u64 = 16_384;

/// A value, as functions return them that are worth memoising.
#[derive(Debug)]
pub struct Row {
    /// Of which key.
    pub id: u64,
    /// What else there is.
    pub rest: [u64; 7],
}

/// A value for the key, of its own.
#[must_use]
pub fn row(id: u64) -> Arc<Row> {
    Arc::new(Row { id, rest: [id; 7] })
}

/// One of a few values that are there already: so the body of a cold miss is all but empty.
#[must_use]
pub fn ready(id: u64) -> Arc<Row> {
    static ROWS: LazyLock<Vec<Arc<Row>>> = LazyLock::new(|| (0..256).map(row).collect());
    Arc::clone(&ROWS[id as usize % 256])
}

/// A key of the warm ones: all of them, in an order that jumps about.
#[inline]
#[must_use]
pub fn warm(i: u64) -> u64 {
    i.wrapping_mul(2_654_435_761) % KEYS
}

/// A key of text: one of 65,536, so that [`COLD`] ones are forgotten long before they come round again.
#[inline]
#[must_use]
pub fn name(i: u64) -> &'static str {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| (0..65_536).map(|i| format!("customer:{i:08}")).collect());
    &NAMES[i as usize % 65_536]
}

/// A warm function.
#[cached(ttl = "1h", capacity = 10_000)]
pub fn user(id: u64) -> Arc<Row> {
    row(id)
}

/// With a sliding lifetime.
#[cached(ttl = "1h", sliding, capacity = 10_000)]
pub fn session(id: u64) -> Arc<Row> {
    row(id)
}

/// With a composite key, part of which is text.
#[cached(ttl = "1h", capacity = 10_000)]
pub fn order(customer: &str, id: u64) -> Arc<Row> {
    let _ = customer;
    row(id)
}

/// A warm async function.
#[cached(ttl = "1h", capacity = 10_000)]
pub async fn profile(id: u64) -> Arc<Row> {
    row(id)
}

/// A warm async function with a key of text.
#[cached(ttl = "1h", capacity = 10_000)]
pub async fn page(name: &str) -> Arc<Row> {
    row(name.len() as u64)
}

/// A function that is asked for other keys than it has.
#[cached(ttl = "1h", capacity = 1_000)]
pub fn cold_user(id: u64) -> Arc<Row> {
    ready(id)
}

/// [`cold_user()`], async.
#[cached(ttl = "1h", capacity = 1_000)]
pub async fn cold_profile(id: u64) -> Arc<Row> {
    ready(id)
}

/// [`cold_profile()`] with a key of text.
#[cached(ttl = "1h", capacity = 1_000)]
pub async fn cold_page(name: &str) -> Arc<Row> {
    ready(name.len() as u64)
}

/// A function that is put and evicted, plain.
#[cached(ttl = "1h", capacity = 131_072)]
pub fn shelf(id: u64) -> Arc<Row> {
    ready(id)
}

/// [`shelf()`], async.
#[cached(ttl = "1h", capacity = 131_072)]
pub async fn async_shelf(id: u64) -> Arc<Row> {
    ready(id)
}

/// [`async_shelf()`] with a key of text.
#[cached(ttl = "1h", capacity = 131_072)]
pub async fn named_shelf(name: &str) -> Arc<Row> {
    ready(name.len() as u64)
}

/// What a cache can do, each on so many threads.
#[derive(Clone, Copy)]
pub struct Subject {
    /// Reads what is there.
    pub hit: fn(u64) -> Work,
    /// Reads what is not there; something has to leave for it.
    pub miss: fn(u64) -> Work,
    /// Writes over what is there.
    pub put: fn(u64) -> Work,
    /// Removes what is there.
    pub evict: fn(u64) -> Work,
}

/// Plain functions of ours, by number.
pub const PLAIN: Subject = Subject {
    hit: |threads| hit(threads, user),
    miss: |threads| timed(threads, plain(cold_user)),
    put: |threads| timed(threads, plain(|i| shelf::put(&warm(i), ready(i)))),
    evict: |threads| timed_after(plain(|i| shelf::put(&i, ready(i))), threads, plain(|i| shelf::evict(&i))),
};

/// Async functions of ours, by number.
pub const ASYNC: Subject = Subject {
    hit: |threads| async_hit(threads, profile),
    miss: |threads| timed(threads, awaited(cold_profile)),
    put: |threads| timed(threads, awaited(async |i| async_shelf::put(&warm(i), ready(i)).await)),
    evict: |threads| {
        let fill = awaited(async |i| async_shelf::put(&i, ready(i)).await);
        timed_after(fill, threads, awaited(async |i| async_shelf::evict(&i).await))
    },
};

/// Async functions of ours, by text.
pub const NAMED: Subject = Subject {
    hit: |threads| async_hit(threads, async |i| page(name(i)).await),
    miss: |threads| timed(threads, awaited(async |i| cold_page(name(i)).await)),
    put: |threads| timed(threads, awaited(async |i| named_shelf::put(name(warm(i)), ready(i)).await)),
    evict: |threads| {
        let fill = awaited(async |i| named_shelf::put(name(i), ready(i)).await);
        timed_after(fill, threads, awaited(async |i| named_shelf::evict(name(i)).await))
    },
};

/// Hits with a sliding lifetime.
pub const SLIDING_HIT: fn(u64) -> Work = |threads| hit(threads, session);

/// Hits with a composite key.
pub const COMPOSITE_HIT: fn(u64) -> Work = |threads| hit(threads, |i| order(name(i), i));

/// quick_cache by hand.
pub const QUICK: Subject = Subject {
    hit: |threads| {
        let cache = Quick::new(WARM);
        (0..KEYS).for_each(|id| cache.insert(id, row(id)));
        timed(threads, plain(move |i| cache.get(&warm(i))))
    },
    miss: |threads| {
        let cache = Quick::new(COLD);
        let load = async |id| Ok::<_, Infallible>(ready(id));
        timed(threads, awaited(async move |id| cache.get_or_insert_async(&id, load(id)).await))
    },
    put: |threads| {
        let cache = Quick::new(WIDE);
        timed(threads, plain(move |i| cache.insert(warm(i), ready(i))))
    },
    evict: |threads| {
        let cache = Arc::new(Quick::new(WIDE));
        let filled = Arc::clone(&cache);
        timed_after(plain(move |i| filled.insert(i, ready(i))), threads, plain(move |i| cache.remove(&i)))
    },
};

/// A hit by hand where entries have a lifetime: the clock that ours reads, and a deadline beside the value.
pub const QUICK_HIT_WITH_LIFETIME: fn(u64) -> Work = |threads| {
    fn now() -> u64 {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    let cache = Quick::new(WARM);
    let deadline = now() + 3_600_000_000_000;
    (0..KEYS).for_each(|id| cache.insert(id, (deadline, row(id))));
    timed(threads, plain(move |i| cache.get(&warm(i)).and_then(|(deadline, row)| (now() < deadline).then_some(row))))
};

/// A miss of a plain function by hand, with an eviction: one caller loads, others would wait for it.
pub const QUICK_PLAIN_MISS: fn(u64) -> Work = |threads| {
    let cache = Quick::new(COLD);
    timed(threads, plain(move |id| cache.get_or_insert_with(&id, || Ok::<_, Infallible>(ready(id)))))
};

/// [`COMPOSITE_HIT`] by hand: looked up by what is borrowed, too.
pub const QUICK_COMPOSITE_HIT: fn(u64) -> Work = |threads| {
    struct Borrowed<'a>(&'a str, u64);

    impl Hash for Borrowed<'_> {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
            self.1.hash(state);
        }
    }

    impl Equivalent<(String, u64)> for Borrowed<'_> {
        fn equivalent(&self, key: &(String, u64)) -> bool {
            self.0 == key.0 && self.1 == key.1
        }
    }

    let cache = Quick::new(WARM);
    (0..KEYS).for_each(|id| cache.insert((name(id).to_owned(), id), row(id)));
    timed(threads, plain(move |i| cache.get(&Borrowed(name(warm(i)), warm(i)))))
};

/// Hits of a plain function, whose cache its own calls have filled.
pub fn hit<T: 'static>(threads: u64, get: impl Fn(u64) -> T + Sync + 'static) -> Work {
    (0..KEYS).for_each(|id| drop(get(id)));
    timed(threads, plain(move |i| get(warm(i))))
}

/// Hits of an async function, whose cache its own calls have filled, in the order of [`hit`].
pub fn async_hit<T: 'static>(threads: u64, get: impl AsyncFn(u64) -> T + Send + Sync + 'static) -> Work {
    let get = Arc::new(get);
    let fill = Arc::clone(&get);
    timed(1, awaited(async move |i| fill(i % KEYS).await))(KEYS);
    timed(threads, awaited(async move |i| get(warm(i)).await))
}
