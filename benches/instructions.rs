//! Runs so many operations of one case and nothing else, to be counted by valgrind: see `README.md`.

use std::env;
use std::process::ExitCode;

use hybridcache::{Cache, Policy};
use hybridcache_benches::cases::{
    ASYNC, COMPOSITE_HIT, PLAIN, QUICK, QUICK_COMPOSITE_HIT, QUICK_HIT_WITH_LIFETIME, QUICK_PLAIN_MISS, SLIDING_HIT,
};
use hybridcache_benches::work::{Work, plain, timed};

type Case = (&'static str, fn(u64) -> Work);

const CASES: [Case; 22] = [
    ("quick", QUICK.hit),
    ("quick-lifetime", QUICK_HIT_WITH_LIFETIME),
    ("plain", PLAIN.hit),
    ("async", ASYNC.hit),
    ("sliding", SLIDING_HIT),
    ("quick-composite", QUICK_COMPOSITE_HIT),
    ("composite", COMPOSITE_HIT),
    ("quick-miss", QUICK.miss),
    ("miss", ASYNC.miss),
    ("quick-plain-miss", QUICK_PLAIN_MISS),
    ("plain-miss", PLAIN.miss),
    ("quick-put", QUICK.put),
    ("put", PLAIN.put),
    ("quick-evict", QUICK.evict),
    ("evict", PLAIN.evict),
    ("get-s3fifo", |threads| gets(Policy::S3Fifo, threads)),
    ("get-fifo", |threads| gets(Policy::Fifo, threads)),
    ("get-mru", |threads| gets(Policy::Mru, threads)),
    ("get-clock", |threads| gets(Policy::Clock, threads)),
    ("get-lru", |threads| gets(Policy::Lru, threads)),
    ("get-lfu", |threads| gets(Policy::Lfu, threads)),
    ("get-adaptive", |threads| gets(Policy::Adaptive, threads)),
];

/// Hits by `get` of 2,500 keys in a full cache of 10,000 from which entries had to leave.
fn gets(policy: Policy, threads: u64) -> Work {
    let cache: Cache<u64, u64> = Cache::builder("gets").policy(policy).capacity(10_000).build().expect("a cache");
    (0..20_000).for_each(|key| cache.blocking().insert(&key, key).expect("in memory"));
    let there: Vec<u64> = (0..20_000).filter(|key| cache.blocking().contains(key)).take(2_500).collect();
    timed(threads, plain(move |i| cache.blocking().get(&there[i.wrapping_mul(2_654_435_761) as usize % there.len()])))
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let case = args.first().and_then(|wanted| CASES.iter().find(|(name, _)| name == wanted));
    let count = args.get(1).and_then(|count| count.parse().ok());
    let (Some((_, work)), Some(count)) = (case, count) else {
        let names: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
        eprintln!("usage: instructions CASE COUNT; the cases are {}", names.join(", "));
        return ExitCode::FAILURE;
    };
    work(1)(count);
    ExitCode::SUCCESS
}
