//! What a cache takes, counted by the allocator.

use std::sync::Mutex;

use hybridcache::{Cache, Clock, Policy};
use hybridcache_tests::{MINUTE, POLICIES, SECOND};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// One test at a time: they count the same bytes.
static ALONE: Mutex<()> = Mutex::new(());

/// What an entry takes beside its key and value, which themselves take so many bytes, and whatever these have on the heap, as the
/// documentation of [`Policy`] says: without a lifetime, and with one.
fn overhead(policy: Policy, bytes: usize, ttl: bool) -> u64 {
    let plain = match policy {
        Policy::S3Fifo => 130 + bytes as u64 * 6 / 10,
        Policy::Adaptive => 95 + bytes as u64 / 64,
        _ => 75 + bytes as u64 / 64,
    };
    plain + if ttl { 35 } else { 0 }
}

/// What `adaptive` takes for its trials, however much it holds.
const TRIED_OUT: u64 = 200_000;

/// A cache whose weigher says what a key and a value take, of which `heap` bytes are elsewhere.
fn exactly_weighed<V>(policy: Policy, ttl: bool, max: u64, heap: fn(&V) -> usize) -> Cache<u64, V>
where
    V: Clone + Send + Sync + 'static,
{
    let exactly = move |_: &u64, value: &V| (size_of::<u64>() + size_of::<V>() + heap(value)) as u64;
    let mut builder = Cache::builder("weighed").policy(policy).max_weight(max).weigher(exactly);
    if ttl {
        builder = builder.ttl(MINUTE).clock(Clock::manual());
    }
    builder.build().unwrap()
}

/// What a cache of this weight and so many entries may take.
fn allowed<V>(policy: Policy, ttl: bool, weight: u64, entries: u64) -> f64 {
    let beside = if policy == Policy::Adaptive { TRIED_OUT } else { 0 };
    (weight + entries * overhead(policy, size_of::<u64>() + size_of::<V>(), ttl) + beside) as f64 * 1.05
}

/// Fills caches, and goes on until all is replaced.
fn weighed<V>(policies: &[Policy], sizes: &[u64], of: impl Fn(u64) -> V, heap: fn(&V) -> usize)
where
    V: Clone + Send + Sync + 'static,
{
    for (&policy, ttl, max) in each(policies, sizes) {
        let before = ALLOCATOR.current_usage();
        let cache = exactly_weighed(policy, ttl, max, heap);
        let mut key = 0;
        while key < 2 * cache.len() + 100 {
            for _ in 0..100 {
                cache.blocking().insert(&key, of(key)).unwrap();
                key += 1;
            }
            let live = ALLOCATOR.current_usage() - before;
            let allowed = allowed::<V>(policy, ttl, max, cache.len());
            assert!(
                live as f64 <= allowed,
                "{policy:?}: {live} bytes for {} entries in {max} bytes; {allowed} are allowed",
                cache.len()
            );
        }
        assert!(cache.weight() <= max && cache.weight() > max / 10 * 9, "{policy:?}: {} of {max}", cache.weight());
    }
}

fn each<'a>(policies: &'a [Policy], sizes: &'a [u64]) -> impl Iterator<Item = (&'a Policy, bool, u64)> {
    policies
        .iter()
        .flat_map(move |policy| sizes.iter().flat_map(move |&max| [(policy, false, max), (policy, true, max)]))
}

/// Of a length between these, which the key says.
fn bytes(key: u64, shortest: u64, longest: u64) -> Vec<u8> {
    vec![0; (shortest + key.wrapping_mul(2_654_435_761) % (longest + 1 - shortest)) as usize]
}

#[test]
fn live_bytes_are_what_is_weighed_and_the_overhead() {
    const SIZES: [u64; 4] = [1 << 20, 2 << 20, 8 << 20, 32 << 20];
    let _alone = ALONE.lock().unwrap();
    let default = [Policy::S3Fifo];
    weighed(&default, &SIZES[..1], |_| 7_u64, |_| 0);
    weighed(&default, &SIZES[..2], |_| [7_u64; 9], |_| 0);
    weighed(&default, &SIZES[..3], |_| [7_u64; 32], |_| 0);
    weighed(&default, &SIZES[..3], |_| [7_u64; 128], |_| 0);
    for (shortest, longest) in [(100, 2_000), (4_000, 4_000), (10_000, 10_000)] {
        weighed(&default, &SIZES, |key| bytes(key, shortest, longest), Vec::len);
    }
    weighed(&POLICIES, &SIZES[..1], |key| bytes(key, 1, 100), Vec::len);
    weighed(&POLICIES, &SIZES[1..2], |key| bytes(key, 100, 2_000), Vec::len);
}

#[test]
fn the_overhead_is_the_same_when_what_comes_gets_heavier_or_lighter() {
    const MAX: u64 = 2 << 20;
    let _alone = ALONE.lock().unwrap();
    let before = ALLOCATOR.current_usage();
    let cache = exactly_weighed(Policy::S3Fifo, true, MAX, Vec::len);
    let mut keys = 0..;
    for (shortest, longest) in [(400, 400), (2_000, 2_000), (200, 600), (5_000, 10_000), (1, 2_000)] {
        // More than ten times as many as it ever holds: it does not notice at once.
        for key in keys.by_ref().take(60_000) {
            cache.blocking().insert(&key, bytes(key, shortest, longest)).unwrap();
        }
        let live = ALLOCATOR.current_usage() - before;
        let allowed = allowed::<Vec<u8>>(Policy::S3Fifo, true, MAX, cache.len());
        assert!(
            live as f64 <= allowed,
            "{live} bytes for {} entries of {shortest} to {longest}; {allowed} are allowed",
            cache.len()
        );
    }
}

fn counted<V: Clone + Send + Sync + 'static>(value: &V) {
    let bytes = (size_of::<u64>() + size_of::<V>()) as u64;
    for policy in POLICIES {
        for (ttl, capacity) in [(false, 5_000), (false, 10_000), (false, 16_385), (true, 8_200), (true, 40_000)] {
            let mut builder = Cache::builder("counted").policy(policy).capacity(capacity);
            if ttl {
                builder = builder.ttl(MINUTE).clock(Clock::manual());
            }
            let cache: Cache<u64, V> = builder.build().unwrap();
            cache.blocking().insert(&0, value.clone()).unwrap();
            // Counters, locks and whatever else each cache has, and the first slots of one shard.
            let empty = ALLOCATOR.current_usage();
            (1..4 * capacity).for_each(|key| cache.blocking().insert(&key, value.clone()).unwrap());
            let live = ALLOCATOR.current_usage() - empty;
            let most = allowed::<V>(policy, ttl, cache.len() * bytes, cache.len());
            assert!(cache.len() > capacity * 9 / 10, "{policy:?}: {} of {capacity}", cache.len());
            assert!(
                live as f64 <= most,
                "{policy:?}: {live} bytes for {} entries of {bytes}; {most} are allowed",
                cache.len()
            );
        }
    }
}

#[test]
fn where_entries_are_counted_each_takes_its_overhead() {
    let _alone = ALONE.lock().unwrap();
    counted(&7_u64);
    counted(&[7_u64; 8]);
    counted(&[7_u64; 32]);
}

#[test]
fn the_memory_of_what_expired_comes_back() {
    const ENTRIES: u64 = 100_000;
    let _alone = ALONE.lock().unwrap();
    for policy in POLICIES {
        let clock = Clock::manual();
        let empty = ALLOCATOR.current_usage();
        let builder = Cache::builder("expiring").policy(policy).capacity(2 * ENTRIES).ttl(MINUTE);
        let cache: Cache<u64, [u64; 8]> = builder.sweep_interval(SECOND).clock(clock.clone()).build().unwrap();
        (0..ENTRIES).for_each(|key| cache.blocking().insert(&key, [key; 8]).unwrap());
        let full = ALLOCATOR.current_usage() - empty;
        clock.advance(MINUTE + 2 * SECOND);
        cache.sweep();
        let left = ALLOCATOR.current_usage().saturating_sub(empty);
        assert_eq!(cache.len(), 0, "{policy:?}");
        assert!(left <= full / 20, "{policy:?}: {left} of {full} bytes are left");
    }
}
