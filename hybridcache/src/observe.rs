//! What is counted, as it is told.

mod meter;

use std::time::Duration;

pub(crate) use meter::{Event, Meter, Tally};

/// Bucket `i` of a latency counts durations below 2^i ns and not below half of that.
const BUCKETS: usize = 65;

/// What a cache has counted since it was built, and what it holds now. `stats()` reads it at the cost of a few dozen
/// relaxed loads. Each counter is exact, but together they are not a snapshot of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Reads that memory answered, including kept `None`s and errors.
    pub hits: u64,
    /// Reads that memory did not answer. Some of them were answered by the remote tier: [`Remote::hits`].
    pub misses: u64,
    /// Bodies that were run for the cache and returned, successes and failures alike.
    pub loads: u64,
    /// Those of the loads that returned an error.
    pub load_failures: u64,
    /// Misses that waited for another caller's load instead of loading.
    pub waits: u64,
    /// Waits that were given up after `wait_timeout`.
    pub wait_timeouts: u64,
    /// Bodies run without the right to keep their result: given-up waits, re-entrance, cycles.
    pub uncached: u64,
    /// Calls that `when` sent past the cache.
    pub bypassed: u64,
    /// Background reloads started by `refresh_ahead`.
    pub refreshes: u64,
    /// Entries that left, by reason.
    pub evictions: Evictions,
    /// What the remote tier had a part in; all zero without one.
    pub remote: Remote,
    /// Entries held now, including those that have expired and are not yet swept.
    pub entries: u64,
    /// The weight of the entries held now; equal to `entries` without a weigher.
    pub weight: u64,
    /// How long loads took. Each thread measures its first thousand loads, and each load after one of 10 µs or more; of the others, one
    /// in 64.
    pub load_latency: Latency,
}

/// What a cache's remote tier was asked for, and what came of it. Reads that memory answers are not counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remote {
    /// Reads that it answered, including kept `None`s.
    pub hits: u64,
    /// Reads that found nothing there that may be served and took the right to fill.
    pub misses: u64,
    /// Commands that went unanswered or were refused.
    pub faults: u64,
    /// Loads whose result it keeps.
    pub fills: u64,
    /// Loads whose result was returned but not kept, because their key was evicted or written meanwhile.
    pub fills_rejected: u64,
    /// Waits for a load in another process.
    pub waits: u64,
    /// Records that could not be used: of another codec, schema or key, damaged, or not ours. What is loaded overwrites them.
    pub undecodable: u64,
    /// Values that were not sent: too large, or their codec failed.
    pub unencodable: u64,
    /// Keys that bypassed it, because their text does not read back as an equal key.
    pub unspellable: u64,
    /// Loads without the right to fill, because somebody else had it.
    pub unfilled: u64,
    /// Loads during an outage.
    pub degraded: u64,
}

impl Remote {
    fn merge(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.faults += other.faults;
        self.fills += other.fills;
        self.fills_rejected += other.fills_rejected;
        self.waits += other.waits;
        self.undecodable += other.undecodable;
        self.unencodable += other.unencodable;
        self.unspellable += other.unspellable;
        self.unfilled += other.unfilled;
        self.degraded += other.degraded;
    }
}

impl Stats {
    /// The share of reads that were hits, in memory or in the remote tier; 0 if there were none.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let reads = self.hits + self.misses;
        if reads == 0 { 0.0 } else { (self.hits + self.remote.hits) as f64 / reads as f64 }
    }

    /// Adds the counts of another cache.
    pub fn merge(&mut self, other: &Stats) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.loads += other.loads;
        self.load_failures += other.load_failures;
        self.waits += other.waits;
        self.wait_timeouts += other.wait_timeouts;
        self.uncached += other.uncached;
        self.bypassed += other.bypassed;
        self.refreshes += other.refreshes;
        self.evictions.expired += other.evictions.expired;
        self.evictions.capacity += other.evictions.capacity;
        self.evictions.explicit += other.evictions.explicit;
        self.evictions.replaced += other.evictions.replaced;
        self.evictions.rejected += other.evictions.rejected;
        self.remote.merge(&other.remote);
        self.entries += other.entries;
        self.weight += other.weight;
        self.load_latency.merge(&other.load_latency);
    }
}

/// Entries that left a cache, by [`RemovalReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evictions {
    /// Their lifetime ended.
    pub expired: u64,
    /// They made room for others.
    pub capacity: u64,
    /// They were evicted or cleared by a caller.
    pub explicit: u64,
    /// A newer value took their place.
    pub replaced: u64,
    /// They never came in: too heavy, or their weigher panicked.
    pub rejected: u64,
}

/// Why an entry left a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovalReason {
    /// Its lifetime ended.
    Expired,
    /// It made room for others.
    Capacity,
    /// It was evicted or cleared by a caller.
    Explicit,
    /// A newer value took its place.
    Replaced,
}

/// Durations of loads, in buckets whose bounds double.
#[derive(Clone, PartialEq, Eq)]
pub struct Latency {
    buckets: [u64; BUCKETS],
    sum: u64,
}

impl std::fmt::Debug for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Latency")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum: 0 }
    }
}

impl Latency {
    /// How many loads were measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their mean, zero if there were none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.sum.checked_div(self.count()).unwrap_or(0))
    }

    /// A duration within which the share `q` (0 to 1) of loads stayed, exact to a factor of two; zero if there were
    /// none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        let wanted = (self.count() as f64 * q.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (i, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(1_u64.checked_shl(i as u32).map_or(u64::MAX, |bound| bound - 1));
            }
        }
        Duration::ZERO
    }

    fn merge(&mut self, other: &Latency) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }
}
