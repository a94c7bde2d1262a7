//! What an entry takes beside its key and value, and how memory comes back: `cargo bench -p hybridcache-benches --bench memory`.
//!
//! Bytes are those that are asked of the allocator, counted by it. `--table` and `--expiry` print one of the two.

use std::env;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cached::macros::{cached, concurrent_cached};
use foyer_memory::{CacheBuilder as FoyerBuilder, EvictionConfig, FifoConfig, LfuConfig, LruConfig, S3FifoConfig};
use hybridcache::{Cache, Policy};
use moka::policy::EvictionPolicy;
use peak_alloc::PeakAlloc;
use quick_cache::sync::Cache as Quick;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const POLICIES: [Policy; 7] =
    [Policy::S3Fifo, Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Mru, Policy::Clock, Policy::Adaptive];

const ENTRIES: u64 = 100_000;
const HOUR: Duration = Duration::from_secs(3_600);

type Value = [u64; 8];

fn main() {
    let args: Vec<String> = env::args().collect();
    let asked = |option: &str| args.iter().any(|arg| arg == option);
    // `cargo test` runs benches too, to see whether they run.
    let entries = if asked("--bench") { ENTRIES } else { 1_000 };
    if !asked("--expiry") {
        table(entries);
    }
    if !asked("--table") {
        POLICIES.into_iter().for_each(|policy| expiry(policy, entries * 10));
    }
}

/// How much more is allocated after `work` than before, while what it returns is alive; and that.
fn live<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATOR.current_usage();
    let held = work();
    (ALLOCATOR.current_usage().saturating_sub(before) as u64, held)
}

/// Fills a cache with three times what it holds, and says how many bytes each entry takes beside its key and value.
fn overhead<C>(new: impl FnOnce() -> C, entries: u64, put: impl Fn(&C, u64, Value), len: impl Fn(&C) -> u64) -> f64 {
    let (bytes, cache) = live(|| {
        let cache = new();
        (0..3 * entries).for_each(|key| put(&cache, key, [key; 8]));
        cache
    });
    let entries = len(&cache);
    bytes as f64 / entries as f64 - (size_of::<u64>() + size_of::<Value>()) as f64
}

fn ours(policy: Policy, entries: u64, ttl: Option<Duration>) -> f64 {
    let new = || {
        let builder = Cache::<u64, Value>::builder("memory").capacity(entries).policy(policy);
        ttl.into_iter().fold(builder, |builder, ttl| builder.ttl(ttl)).build().expect("the options are right")
    };
    overhead(new, entries, |cache, key, value| cache.blocking().insert(&key, value).expect("memory"), Cache::len)
}

/// The most over many sizes: tables double, so that it depends on the number of entries.
fn ours_at_most(policy: Policy, entries: u64, ttl: Option<Duration>) -> f64 {
    (8..16).map(|eighths| ours(policy, entries * eighths / 8, ttl)).fold(0.0, f64::max)
}

fn foyer(config: impl Into<EvictionConfig>, entries: u64) -> f64 {
    let new =
        || FoyerBuilder::new(entries as usize).with_eviction_config(config).build::<foyer_memory::CacheProperties>();
    overhead(new, entries, |cache, key, value| drop(cache.insert(key, value)), |cache| cache.entries() as u64)
}

fn moka(policy: EvictionPolicy, entries: u64, ttl: Option<Duration>) -> f64 {
    let new = || {
        let builder = moka::sync::Cache::builder().max_capacity(entries).eviction_policy(policy);
        ttl.into_iter().fold(builder, |builder, ttl| builder.time_to_live(ttl)).build()
    };
    let len = |cache: &moka::sync::Cache<u64, Value>| {
        cache.run_pending_tasks();
        cache.entry_count()
    };
    overhead(new, entries, |cache, key, value| cache.insert(key, value), len)
}

#[cached(max_size = 100_000, ttl_secs = 3_600)]
fn one_lock(id: u64) -> Value {
    [id; 8]
}

#[concurrent_cached(max_size = 100_000, ttl_secs = 3_600)]
fn many_locks(id: u64) -> Value {
    [id; 8]
}

fn table(entries: u64) {
    println!("| | bytes an entry | at most | with a ttl | at most |\n|---|--:|--:|--:|--:|");
    for policy in POLICIES {
        let [now, most] = [ours(policy, entries, None), ours_at_most(policy, entries, None)];
        let [ttl, most_ttl] = [ours(policy, entries, Some(HOUR)), ours_at_most(policy, entries, Some(HOUR))];
        println!("| ours, {policy:?} | {now:.0} | {most:.0} | {ttl:.0} | {most_ttl:.0} |");
    }
    let quick = overhead(
        || Quick::new(entries as usize),
        entries,
        |cache: &Quick<u64, Value>, key, value| cache.insert(key, value),
        |cache| cache.len() as u64,
    );
    println!("| quick_cache | {quick:.0} | | | |");
    for (name, policy) in [("tiny_lfu", EvictionPolicy::tiny_lfu()), ("lru", EvictionPolicy::lru())] {
        let (now, ttl) = (moka(policy.clone(), entries, None), moka(policy, entries, Some(HOUR)));
        println!("| moka, {name} | {now:.0} | | {ttl:.0} | |");
    }
    let configs: [(&str, EvictionConfig); 4] = [
        ("s3fifo", S3FifoConfig::default().into()),
        ("lru", LruConfig::default().into()),
        ("lfu", LfuConfig::default().into()),
        ("fifo", FifoConfig::default().into()),
    ];
    for (name, config) in configs {
        println!("| foyer, {name} | {:.0} | | | |", foyer(config, entries));
    }
    // Of the size that their attributes say.
    let one = overhead(|| (), ENTRIES, |(), key, _| _ = black_box(one_lock(key)), |()| ENTRIES);
    println!("| cached, `#[cached]` | | | {one:.0} | |");
    let many = overhead(|| (), ENTRIES, |(), key, _| _ = black_box(many_locks(key)), |()| ENTRIES);
    println!("| cached, `#[concurrent_cached]` | | | {many:.0} | |");
}

/// Lets so many entries expire at the same time, in real time, and watches a reader and the memory.
fn expiry(policy: Policy, entries: u64) {
    const INTERVAL: Duration = Duration::from_secs(1);
    let ttl = Duration::from_secs(10);
    let (full, cache) = live(|| {
        let builder = Cache::<u64, Arc<Value>>::builder("expiry").capacity(entries * 5 / 4).policy(policy);
        builder.ttl(ttl).sweep_interval(INTERVAL).build().expect("the options are right")
    });
    let start = Instant::now();
    let (bytes, ()) = live(|| {
        (0..entries).for_each(|key| cache.blocking().insert(&key, Arc::new([key; 8])).expect("memory"));
    });
    let (filled, full) = (start.elapsed(), full + bytes);
    assert!(filled < ttl, "filling took {filled:?}");
    let before = ALLOCATOR.current_usage();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut waits, mut key) = (Vec::with_capacity(1 << 26), 0_u64);
            while !done.load(Ordering::Relaxed) && waits.len() < waits.capacity() {
                key = (key + 514_229) % entries;
                let start = Instant::now();
                black_box(cache.blocking().get(&key));
                waits.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
            }
            waits
        });
        thread::sleep(Duration::from_millis(100));
        let with_waits = ALLOCATOR.current_usage() - before;
        // The last entry expires so long after the start.
        let last = filled + ttl;
        while !cache.is_empty() && start.elapsed() < last + 10 * INTERVAL {
            thread::sleep(Duration::from_millis(5));
        }
        let back = start.elapsed().saturating_sub(last);
        done.store(true, Ordering::Relaxed);
        let rest = full as i64 - (before + with_waits) as i64 + ALLOCATOR.current_usage() as i64;
        let mut waits = reader.join().expect("a reader does not panic");
        waits.sort_unstable();
        let quantile = |q: f64| f64::from(waits[((waits.len() - 1) as f64 * q) as usize]) / 1_000.0;
        println!(
            "{policy:?}: {entries} entries filled in {filled:.2?}, gone {back:.2?} after the last expired; of {:.1} MB {:.1} MB are left; \
             a reader waited {:.2} µs (p50), {:.1} µs (p99), {:.1} µs (p99.9), {:.0} µs (most)",
            full as f64 / 1e6,
            rest as f64 / 1e6,
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
            quantile(1.0),
        );
    });
}
