//! What several processes saw of one another while everything around them failed, compared with what is promised.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hybridcache_tests::history::harness::{Plan, run};

/// How long faults are inflicted, in seconds, by `HYBRIDCACHE_HISTORIES_SECONDS`; 60 if it says nothing. And their seed, by
/// `HYBRIDCACHE_HISTORIES_SEED`; another one each time if it says nothing.
fn plan() -> Plan {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Plan {
        seed: number("HYBRIDCACHE_HISTORIES_SEED").unwrap_or_else(clock),
        length: Duration::from_secs(number("HYBRIDCACHE_HISTORIES_SECONDS").unwrap_or(60)),
        nodes: 4,
        node: PathBuf::from(env!("CARGO_BIN_EXE_histories")),
        broken: None,
    }
}

#[test]
fn nothing_that_is_promised_is_broken_by_any_fault() {
    let report = run(&plan());
    println!("{report}");
    assert!(report.violations().is_empty(), "promises were broken: {report}");
    assert!(report.shortcomings().is_empty(), "the run shows too little: {:?}", report.shortcomings());
}
