//! The table at the end.

use std::fmt;
use std::time::Duration;

use hybridcache::Stats;
use indicatif::{HumanBytes, HumanCount};

use crate::measure::Measured;

/// The same stream with the cache and without it.
pub(crate) struct Report {
    /// Whether Ctrl-C came before the end of the stream.
    pub(crate) stopped: bool,
    /// The whole stream, through the cached function.
    pub(crate) cached: Measured,
    /// A sample of the stream, straight to the database.
    pub(crate) uncached: Measured,
    /// What the cache has counted, or that of each node.
    pub(crate) stats: Vec<Stats>,
    /// The database's own count, during the cached run.
    pub(crate) queries: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { cached, uncached, stats, .. } = self;
        if self.stopped {
            writeln!(out, "stopped: this is the stream so far")?;
        }
        let served = HumanBytes(cached.bytes);
        writeln!(out, "{} requests in {:.2?}, {served} served\n", HumanCount(cached.requests), cached.elapsed)?;
        let sum = |of: fn(&Stats) -> u64| stats.iter().map(of).sum::<u64>();
        for (what, count) in [
            ("hits", sum(|stats| stats.hits + stats.remote.hits)),
            ("loads", sum(|stats| stats.loads)),
            ("coalesced waits", sum(|stats| stats.waits)),
            ("evicted for room", sum(|stats| stats.evictions.capacity)),
            ("expired", sum(|stats| stats.evictions.expired)),
            ("database queries", self.queries),
            ("database queries saved", cached.requests.saturating_sub(self.queries)),
        ] {
            let percent = 100.0 * count as f64 / cached.requests.max(1) as f64;
            writeln!(out, "{what:<24}{:>14}{percent:>12.2} %", HumanCount(count).to_string())?;
        }
        if sum(|stats| stats.remote.hits + stats.remote.misses) > 0 {
            writeln!(out, "\n{:<24}{:>14}{:>14}{:>14}", "", "L1 hits", "L2 hits", "loads")?;
            for (node, stats) in stats.iter().enumerate() {
                let [l1, l2, loads] =
                    [stats.hits, stats.remote.hits, stats.loads].map(|count| HumanCount(count).to_string());
                writeln!(out, "{:<24}{l1:>14}{l2:>14}{loads:>14}", format!("node {}", node + 1))?;
            }
        }
        writeln!(out, "\n{:<24}{:>14}{:>14}", "", "with cache", "without")?;
        for (what, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
            let of =
                |side: &Measured| format!("{:.1?}", Duration::from_nanos(side.latency.value_at_quantile(quantile)));
            writeln!(out, "{what:<24}{:>14}{:>14}", of(cached), of(uncached))?;
        }
        let of = |side: &Measured| {
            HumanCount((side.requests as f64 / side.elapsed.as_secs_f64().max(1e-9)) as u64).to_string()
        };
        writeln!(out, "{:<24}{:>14}{:>14}", "requests per second", of(cached), of(uncached))?;
        let sample = HumanCount(uncached.requests);
        write!(out, "\n\"without\": a sample of {sample} requests from all over the same stream")
    }
}
