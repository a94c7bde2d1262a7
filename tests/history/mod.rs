//! Histories: several processes with a cache over one Redis, a source of truth, faults, and a judge who reads afterwards what
//! everybody saw.
//!
//! Each process writes down every operation with its times on one clock, which all processes of a machine share
//! (`CLOCK_MONOTONIC`); what was written down survives the process. [`judge`] then compares the histories with what is promised.

pub mod database;
pub mod harness;
pub mod judge;
pub mod nemesis;
pub mod node;
pub mod operation;
mod process;
pub mod storm;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// D: the managers' `staleness_bound`.
pub const STALENESS_BOUND: Duration = Duration::from_millis(250);
/// H: their heartbeat.
pub const HEARTBEAT: Duration = Duration::from_millis(50);
/// How long what was loaded during an outage is kept: no longer than D, or it would be the bound.
pub const DEGRADED_TTL: Duration = STALENESS_BOUND;
/// Shorter than some loads, so that leases are renewed, and some end.
pub const LEASE: Duration = Duration::from_millis(200);
/// The keys, hot ones first. The odd ones are in a cache with one load at a time in the fleet.
pub const KEYS: u64 = 16;
/// The key whose values are large, so that they have a connection of their own.
pub const LARGE_KEY: u64 = 4;
/// Less than each of the two caches has keys.
pub const CAPACITY: u64 = 6;
/// From [`KEYS`] up to here keys are in caches that have nothing in memory: the even ones in one of Redis alone, the odd ones in
/// one that is `strict`, and whose writers take no guard.
pub const ALL_KEYS: u64 = KEYS + 4;

/// From here on keys are in a cache that is `strict`, and are written under guard.
pub const STRICT: u64 = 1 << 32;
/// How many nodes there are.
pub const NODES: u64 = 4;

/// The strict key of a place in the fleet at a time. Only the node in that place writes it, and only for a second: then it takes
/// another, so that whatever a fault left behind of one concerns no other.
#[must_use]
pub fn strict_key(place: u64, at: u64) -> u64 {
    STRICT + at / 1_000_000_000 * NODES + place
}

/// Nanoseconds of the clock that all processes share.
#[must_use]
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// How long an entry of this key lives: from half a second to five.
#[must_use]
pub fn ttl(key: u64) -> Duration {
    Duration::from_millis(500 + key % KEYS * 300)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
