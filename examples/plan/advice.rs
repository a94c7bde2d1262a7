//! What to do, from the curves.

use std::fmt;

use indicatif::{HumanBytes, HumanCount};

use crate::curves::{Curve, Curves};

/// The share of the reachable hit ratio that is worth paying for: beyond, each further point costs ever more memory.
const WORTHWHILE: f64 = 0.9;
/// What a cache holds for an entry beside the key, the value and what these refer to, in bytes: measured with `u64`
/// keys and values at 100 000 entries.
const OVERHEAD: u64 = 120;

/// A policy, and a capacity for it.
pub(crate) struct Advice {
    pub(crate) policy: &'static str,
    pub(crate) capacity: u64,
    pub(crate) hit_ratio: f64,
    pub(crate) reachable: f64,
    bytes: u64,
    entry_bytes: u64,
}

impl Advice {
    /// The policy that needs the least room for nine tenths of what is reachable. `None` if no key came twice.
    pub(crate) fn of(curves: &Curves, entry_bytes: u64) -> Option<Self> {
        let (optimum, policies) = curves.curves.split_first()?;
        let reachable = *optimum.ratios.last()?;
        if reachable <= 0.0 {
            return None;
        }
        let wanted = WORTHWHILE * reachable;
        let needs = |curve: &Curve| room_for(wanted, &curves.capacities, &curve.ratios);
        // In the order of the table, in which the first of equals is the one to take.
        let enough = policies.iter().filter_map(|curve| Some((curve.name, needs(curve)?, wanted)));
        let best = enough.min_by_key(|(_, capacity, _)| *capacity);
        let (policy, capacity, hit_ratio) = best.or_else(|| {
            // Capacities that the caller named may all be too small.
            let last = |curve: &Curve| (curve.name, *curves.capacities.last()?, *curve.ratios.last()?).into();
            let last = policies.iter().filter_map(|curve| -> Option<(&'static str, u64, f64)> { last(curve) });
            last.reduce(|best, it| if it.2 > best.2 { it } else { best })
        })?;
        let bytes = capacity * (entry_bytes + OVERHEAD);
        Some(Self { policy, capacity, hit_ratio, reachable, bytes, entry_bytes })
    }
}

/// The least capacity with this hit ratio, between the steps by a straight line over its logarithm.
fn room_for(wanted: f64, capacities: &[u64], ratios: &[f64]) -> Option<u64> {
    let at = ratios.iter().position(|ratio| *ratio >= wanted)?;
    let Some(before) = at.checked_sub(1) else { return Some(capacities[0]) };
    let part = (wanted - ratios[before]) / (ratios[at] - ratios[before]);
    let (low, high) = ((capacities[before] as f64).ln(), (capacities[at] as f64).ln());
    Some((low + part * (high - low)).exp().ceil() as u64)
}

impl fmt::Display for Advice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, capacity, hit_ratio, reachable, bytes, entry_bytes } = self;
        write!(
            out,
            "policy = {policy}, capacity = {capacity}: {:.1} % hits, of {:.1} % that are reachable; {} for {} entries \
             of {entry_bytes} bytes (--entry-bytes)",
            100.0 * hit_ratio,
            100.0 * reachable,
            HumanBytes(*bytes),
            HumanCount(*capacity),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_found_between_the_steps() {
        let (capacities, ratios) = ([10, 100, 1_000], [0.1, 0.5, 0.9]);
        assert_eq!(room_for(0.05, &capacities, &ratios), Some(10));
        assert_eq!(room_for(0.5, &capacities, &ratios), Some(100));
        assert_eq!(room_for(0.7, &capacities, &ratios), Some(317));
        assert_eq!(room_for(0.95, &capacities, &ratios), None);
    }
}
