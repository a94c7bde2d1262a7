//! Runs so many operations of one case and nothing else, to be counted by valgrind: see `README.md`.

use std::env;
use std::process::ExitCode;

use hybridcache_benches::cases::{ASYNC, COMPOSITE_HIT, PLAIN, QUICK, QUICK_COMPOSITE_HIT, SLIDING_HIT};
use hybridcache_benches::work::Work;

type Case = (&'static str, fn(u64) -> Work);

const CASES: [Case; 13] = [
    ("quick", QUICK.hit),
    ("plain", PLAIN.hit),
    ("async", ASYNC.hit),
    ("sliding", SLIDING_HIT),
    ("quick-composite", QUICK_COMPOSITE_HIT),
    ("composite", COMPOSITE_HIT),
    ("quick-miss", QUICK.miss),
    ("miss", ASYNC.miss),
    ("plain-miss", PLAIN.miss),
    ("quick-put", QUICK.put),
    ("put", PLAIN.put),
    ("quick-evict", QUICK.evict),
    ("evict", PLAIN.evict),
];

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
