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
    /// The cache's own count.
    pub(crate) stats: Stats,
    /// The database's own count, during the cached run.
    pub(crate) queries: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { cached, uncached, stats, .. } = self;
        if self.stopped {
            writeln!(out, "stopped by Ctrl-C: this is the stream so far")?;
        }
        let served = HumanBytes(cached.bytes);
        writeln!(out, "{} requests in {:.2?}, {served} served\n", HumanCount(cached.requests), cached.elapsed)?;
        for (what, count) in [
            ("hits", stats.hits),
            ("loads", stats.loads),
            ("coalesced waits", stats.waits),
            ("evicted for room", stats.evictions.capacity),
            ("expired", stats.evictions.expired),
            ("database queries", self.queries),
            ("database queries saved", cached.requests.saturating_sub(self.queries)),
        ] {
            let percent = 100.0 * count as f64 / cached.requests.max(1) as f64;
            writeln!(out, "{what:<24}{:>14}{percent:>12.2} %", HumanCount(count).to_string())?;
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
