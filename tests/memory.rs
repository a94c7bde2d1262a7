//! What a cache takes, counted by the allocator.

use std::sync::Mutex;

use hybridcache::{Cache, Clock, Policy};
use hybridcache_tests::{MINUTE, POLICIES, SECOND};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// One test at a time: they count the same bytes.
static ALONE: Mutex<()> = Mutex::new(());

/// What an entry takes beside its key and value and whatever these have on the heap, as the documentation of
/// [`Policy`] says, where the bound is a weight: without a lifetime, and with one.
fn overhead(policy: Policy) -> (u64, u64) {
    match policy {
        Policy::S3Fifo => (330, 365),
        Policy::Adaptive => (95, 130),
        _ => (75, 110),
    }
}

/// The same where the bound is a number of entries, of a key and a value that take so many bytes.
fn overhead_counted(policy: Policy, bytes: usize) -> (u64, u64) {
    match policy {
        Policy::S3Fifo => (125 + bytes as u64 / 2, 160 + bytes as u64 / 2),
        _ => overhead(policy),
    }
}

/// What `adaptive` takes for its trials, however much it holds.
const TRIED_OUT: u64 = 200_000;

#[test]
fn live_bytes_are_what_is_weighed_and_the_overhead() {
    let _alone = ALONE.lock().unwrap();
    let exactly = |_: &u64, value: &Vec<u8>| (size_of::<u64>() + size_of::<Vec<u8>>() + value.len()) as u64;
    for policy in POLICIES {
        for (ttl, sizes) in [(false, 1..100), (true, 1..100), (false, 100..2_000), (true, 100..2_000)] {
            let (plain, with_ttl) = overhead(policy);
            let overhead = if ttl { with_ttl } else { plain };
            let before = ALLOCATOR.current_usage();
            let mut builder = Cache::builder("weighed").policy(policy).max_weight(2 << 20).weigher(exactly);
            if ttl {
                builder = builder.ttl(MINUTE).clock(Clock::manual());
            }
            let cache: Cache<u64, Vec<u8>> = builder.build().unwrap();
            for key in 0..60_000_u64 {
                let size = sizes.start + key.wrapping_mul(2_654_435_761) % (sizes.end - sizes.start);
                cache.blocking().insert(&key, vec![0; size as usize]).unwrap();
                if key % 5_000 == 4_999 {
                    let live = (ALLOCATOR.current_usage() - before) as f64;
                    let beside = if policy == Policy::Adaptive { TRIED_OUT } else { 0 };
                    let most = (cache.weight() + cache.len() * overhead + beside) as f64 * 1.05;
                    assert!(
                        live <= most,
                        "{policy:?}: {live} bytes for {} entries that weigh {}; {most} are allowed",
                        cache.len(),
                        cache.weight()
                    );
                }
            }
            assert!(cache.weight() <= 2 << 20);
        }
    }
}

fn counted<V: Clone + Send + Sync + 'static>(value: &V) {
    let bytes = size_of::<u64>() + size_of::<V>();
    for policy in POLICIES {
        for (ttl, capacity) in [(false, 5_000), (false, 10_000), (false, 16_385), (true, 8_200), (true, 40_000)] {
            let (plain, with_ttl) = overhead_counted(policy, bytes);
            let overhead = if ttl { with_ttl } else { plain };
            let before = ALLOCATOR.current_usage();
            let mut builder = Cache::builder("counted").policy(policy).capacity(capacity);
            if ttl {
                builder = builder.ttl(MINUTE).clock(Clock::manual());
            }
            let cache: Cache<u64, V> = builder.build().unwrap();
            cache.blocking().insert(&0, value.clone()).unwrap();
            // Counters, locks and whatever else each cache has, and the first slots of one shard.
            let empty = ALLOCATOR.current_usage() - before;
            (1..4 * capacity).for_each(|key| cache.blocking().insert(&key, value.clone()).unwrap());
            let live = ALLOCATOR.current_usage() - before - empty;
            let beside = if policy == Policy::Adaptive { TRIED_OUT } else { 0 };
            let most = (cache.len() * (bytes as u64 + overhead) + beside) as f64 * 1.05;
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
