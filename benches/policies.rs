//! Every policy under pressure, against the same policy of the peers: `cargo bench -p hybridcache-benches --bench policies`.
//!
//! One operation asks for a key and puts it in if it is not there. A million keys, popular by Zipf's law with an exponent of
//! 0.99; the cache holds one per cent of them. `--quick` and `--filter TEXT` as in `compare.rs`; `--ratios` prints the
//! share of hits of each side instead.

use std::convert::Infallible;
use std::error::Error;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use foyer_memory::{CacheBuilder as FoyerBuilder, EvictionConfig, FifoConfig, LfuConfig, LruConfig, S3FifoConfig};
use hybridcache::cached;
use hybridcache_benches::pairs::Row;
use hybridcache_benches::processes::compare;
use hybridcache_benches::work::{Work, plain, timed};
use moka::policy::EvictionPolicy;
use quick_cache::sync::Cache as Quick;

const KEYS: usize = 1_000_000;
const CAPACITY: usize = KEYS / 100;

/// How many requests of the stream there are before it starts again: enough to forget who was there.
const REQUESTS: usize = 1 << 21;

type Side = fn(u64) -> Work;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == "--ratios") {
        ratios();
        return Ok(());
    }
    compare(rows())
}

/// Which key the i-th request asks for.
fn key(i: u64) -> u64 {
    static STREAM: LazyLock<Vec<u32>> = LazyLock::new(stream);
    STREAM[i as usize % REQUESTS].into()
}

/// Keys by their popularity, each as likely as Zipf's law has it, by the inverse of the distribution's sums.
fn stream() -> Vec<u32> {
    let mut total = 0.0;
    let sums: Vec<f64> = (1..=KEYS)
        .map(|rank| {
            total += (rank as f64).powf(-0.99);
            total
        })
        .collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..REQUESTS).map(|_| sums.partition_point(|&sum| sum < random() * total) as u32).collect()
}

/// Runs something for each request, and counts the misses.
fn requests(threads: u64, get_or_put: impl Fn(u64) -> u64 + Sync + 'static) -> Work {
    (0..REQUESTS as u64 / 4).for_each(|i| _ = get_or_put(key(i)));
    timed(threads, plain(move |i| get_or_put(key(i))))
}

static MISSES: AtomicU64 = AtomicU64::new(0);

/// What is put in: the key, as the smallest thing that is one.
fn load(key: u64) -> u64 {
    MISSES.fetch_add(1, Ordering::Relaxed);
    key
}

/// A function for each policy of ours.
macro_rules! functions {
    ($($policy:ident)*) => {
        $(
            #[cached(policy = $policy, capacity = 10_000)]
            fn $policy(id: u64) -> u64 {
                load(id)
            }
        )*
    };
}

functions!(s3fifo lru lfu fifo mru clock adaptive);

fn quick(threads: u64) -> Work {
    let cache = Quick::<u64, u64>::new(CAPACITY);
    requests(threads, move |key| cache.get_or_insert_with(&key, || Ok::<_, Infallible>(load(key))).unwrap_or(key))
}

fn moka(policy: EvictionPolicy, threads: u64) -> Work {
    let cache = moka::sync::Cache::<u64, u64>::builder().max_capacity(CAPACITY as u64).eviction_policy(policy).build();
    requests(threads, move |key| cache.get_with(key, || load(key)))
}

fn foyer(config: impl Into<EvictionConfig>, threads: u64) -> Work {
    let cache: foyer_memory::Cache<u64, u64> = FoyerBuilder::new(CAPACITY).with_eviction_config(config).build();
    requests(threads, move |key| match cache.get(&key) {
        Some(entry) => *entry.value(),
        None => *cache.insert(key, load(key)).value(),
    })
}

/// Each policy of ours, and whoever has the same. `clock`, `adaptive` and `mru` have no namesake: their nearest relatives.
const ROWS: [(&str, Side, &str, Side, Option<f64>); 11] = [
    // Of bare quick_cache's throughput, 0.85.
    ("s3fifo", |n| requests(n, s3fifo), "quick_cache by hand", quick, Some(1.0 / 0.85)),
    ("s3fifo", |n| requests(n, s3fifo), "foyer s3fifo", |n| foyer(S3FifoConfig::default(), n), Some(1.0)),
    ("s3fifo", |n| requests(n, s3fifo), "moka tiny_lfu", |n| moka(EvictionPolicy::tiny_lfu(), n), Some(1.0)),
    ("lru", |n| requests(n, lru), "moka lru", |n| moka(EvictionPolicy::lru(), n), Some(1.0)),
    ("lru", |n| requests(n, lru), "foyer lru", |n| foyer(LruConfig::default(), n), Some(1.0)),
    ("lfu", |n| requests(n, lfu), "moka tiny_lfu", |n| moka(EvictionPolicy::tiny_lfu(), n), Some(1.0)),
    ("lfu", |n| requests(n, lfu), "foyer lfu", |n| foyer(LfuConfig::default(), n), Some(1.0)),
    ("fifo", |n| requests(n, fifo), "foyer fifo", |n| foyer(FifoConfig::default(), n), Some(1.0)),
    ("clock", |n| requests(n, clock), "foyer fifo", |n| foyer(FifoConfig::default(), n), Some(1.0)),
    ("adaptive", |n| requests(n, adaptive), "moka tiny_lfu", |n| moka(EvictionPolicy::tiny_lfu(), n), Some(1.0)),
    ("mru", |n| requests(n, mru), "foyer lru", |n| foyer(LruConfig::default(), n), None),
];

fn rows() -> Vec<Row> {
    let row = |threads: u64| {
        move |(policy, ours, whose, peer, bar): (&str, Side, &str, Side, Option<f64>)| {
            let threads_too = if threads == 1 { String::new() } else { format!(", {threads} threads") };
            Row { name: format!("{policy}{threads_too} – {whose}"), threads, ours, peer, bar, most: u64::MAX }
        }
    };
    ROWS.map(row(1)).into_iter().chain(ROWS.map(row(2))).collect()
}

/// How many of the stream's requests each side answers from memory, once it is warm.
fn ratios() {
    println!("| policy | hits | of | hits |\n|---|--:|---|--:|");
    let ratio = |side: Side| {
        let mut work = side(1);
        MISSES.store(0, Ordering::Relaxed);
        work(REQUESTS as u64);
        100.0 * (1.0 - MISSES.load(Ordering::Relaxed) as f64 / REQUESTS as f64)
    };
    for (policy, ours, whose, peer, _) in ROWS {
        println!("| {policy} | {:.1} % | {whose} | {:.1} % |", ratio(ours), ratio(peer));
    }
}
