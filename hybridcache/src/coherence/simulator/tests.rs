use std::env;

use super::world::run;
use crate::coherence::model::Broken;

/// `HYBRIDCACHE_SEED=…` runs one seed, `HYBRIDCACHE_SEEDS=…` so many.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("HYBRIDCACHE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HYBRIDCACHE_SEEDS").unwrap_or(default),
    }
}

#[test]
fn every_promise_is_kept() {
    let mut reached = std::collections::BTreeMap::new();
    for seed in seeds(60) {
        let outcome = run(seed, None);
        assert_eq!(outcome.broken, None, "seed {seed}");

        for (what, count) in outcome.counts {
            *reached.entry(what).or_insert(0) += count;
        }
    }
    println!("{reached:?}");
}

#[track_caller]
fn breaks(rule: Broken, promises: &[&str]) {
    for seed in 0..500 {
        if let Some(broken) = run(seed, Some(rule)).broken {
            println!("{rule:?}: seed {seed}: {broken}");
            if promises.iter().any(|promise| broken.starts_with(promise)) {
                return;
            }
        }
    }
    println!("{rule:?} breaks none of {promises:?}");
}

#[test]
fn all_break() {
    use Broken::*;
    breaks(NoLease, &["G1"]);
    breaks(FillIfAbsent, &["G1"]);
    breaks(TokenPerNode, &["G1"]);
    breaks(NoInsertGuard, &["G2"]);
    breaks(NoFence, &["G2"]);
    breaks(FenceAtReply, &["G2"]);
    breaks(FenceIgnoresMissing, &["G2"]);
    breaks(FloorSparesFlights, &["G2"]);
    breaks(JoinOld, &["G2"]);
    breaks(OwnEvictSparesFlights, &["G3"]);
    breaks(RejectedReturns, &["G4"]);
    breaks(RetiredMayFill, &["G4"]);
    breaks(DetachedCounts, &["G4"]);
    breaks(DeadAcknowledges, &["G6"]);
    breaks(NoChain, &["G6"]);
    breaks(NoReplay, &["G6"]);
    breaks(BornAtFill, &["G2"]);
    breaks(NotJudged, &["G2"]);
    breaks(FloorsLostSilently, &["G2"]);
    breaks(OwedIsRead, &["G3"]);
}
