//! What to do, from the curves.

use std::fmt;
use std::sync::atomic::Ordering;

use indicatif::{HumanBytes, HumanCount};
use replays::policies::{CONTENDERS, Contender, EXPIRY, EntryBytes};

use crate::curves::{Curve, Curves, STOP};

/// The share of the reachable hit ratio that is worth paying for: beyond, each further point costs ever more memory.
const WORTHWHILE: f64 = 0.9;
/// Below this reachable hit ratio a cache is not worth its memory.
const POOR: f64 = 0.05;
/// Sizes that differ by less are the same: the curves are not more exact than that.
const ABOUT: f64 = 1.05;
/// So many capacities are replayed at most between two steps of a curve.
const TRIES: usize = 4;

/// A policy, and a capacity for it.
pub(crate) struct Advice {
    pub(crate) policy: &'static str,
    pub(crate) capacity: u64,
    pub(crate) hit_ratio: f64,
    pub(crate) reachable: f64,
    bytes: u64,
    entry: EntryBytes,
}

impl Advice {
    /// The policy that needs the least memory for nine tenths of what is reachable. `None` if no key came twice, or if Ctrl-C
    /// came.
    pub(crate) fn of(curves: &Curves, entry: EntryBytes) -> Option<Self> {
        let (optimum, policies) = curves.curves.split_first()?;
        let reachable = *optimum.ratios.last()?;
        if reachable <= 0.0 {
            return None;
        }
        let wanted = WORTHWHILE * reachable;
        let policies = || CONTENDERS.iter().zip(policies);
        let bytes = |policy: &Contender, capacity| policy.bytes(capacity, entry);
        let enough: Vec<_> = policies()
            .filter_map(|(policy, curve)| Some((policy, curve, room_for(wanted, &curves.capacities, &curve.ratios)?)))
            .collect();
        let least = enough.iter().map(|(policy, _, (capacity, _))| bytes(policy, *capacity)).min();
        let (policy, (capacity, hit_ratio)) = match least {
            // Of those that need about the same the first of the table is the one to take.
            Some(least) => {
                let (policy, curve, (guess, at)) = *enough
                    .iter()
                    .find(|(policy, _, (capacity, _))| bytes(policy, *capacity) as f64 <= ABOUT * least as f64)?;
                (policy, replayed(policy, guess, (curves.capacities[at], curve.ratios[at]), wanted, curves)?)
            }
            // Capacities that the caller named may all be too small.
            None => {
                let last = |curve: &Curve| Some((*curves.capacities.last()?, *curve.ratios.last()?));
                policies()
                    .filter_map(|(policy, curve)| Some((policy, last(curve)?)))
                    .reduce(|best, it| if it.1.1 > best.1.1 { it } else { best })?
            }
        };
        let bytes = bytes(policy, capacity);
        Some(Self { policy: policy.name, capacity, hit_ratio, reachable, bytes, entry })
    }
}

/// About the least capacity with this hit ratio, between the steps by a straight line over its logarithm; and the first step
/// that has it.
fn room_for(wanted: f64, capacities: &[u64], ratios: &[f64]) -> Option<(u64, usize)> {
    let at = ratios.iter().position(|ratio| *ratio >= wanted)?;
    let Some(before) = at.checked_sub(1) else { return Some((capacities[0], 0)) };
    let part = (wanted - ratios[before]) / (ratios[at] - ratios[before]);
    let (low, high) = ((capacities[before] as f64).ln(), (capacities[at] as f64).ln());
    Some(((low + part * (high - low)).exp().round() as u64, at))
}

/// A capacity from `guess` to that of the step `enough` with the wanted hit ratio, and the one that it has. Between two steps of
/// the table a curve may have one of its own, as over a loop, so that a straight line would promise hits that there are not.
fn replayed(
    policy: &Contender,
    guess: u64,
    enough: (u64, f64),
    wanted: f64,
    Curves { sample, .. }: &Curves,
) -> Option<(u64, f64)> {
    let mut capacity = guess;
    for _ in 0..TRIES {
        let go_on = |_| !STOP.load(Ordering::Relaxed);
        let hit_ratio = sample.hit_ratio(policy.hits(&sample.requests, sample.scaled(capacity), go_on)?);
        if hit_ratio >= wanted {
            return Some((capacity, hit_ratio));
        }
        capacity += enough.0.saturating_sub(capacity).div_ceil(2);
    }
    Some(enough)
}

impl fmt::Display for Advice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, capacity, hit_ratio, reachable, bytes, entry } = self;
        write!(
            out,
            "policy = {policy}, capacity = {capacity}: {:.1} % hits, of {:.1} % that are reachable; at most {} for {} \
             entries of {} bytes (--entry-bytes, --inline-bytes) without a lifetime, and {EXPIRY} bytes more for each \
             that has one",
            100.0 * hit_ratio,
            100.0 * reachable,
            HumanBytes(*bytes),
            HumanCount(*capacity),
            entry.all,
        )?;
        if *reachable < POOR {
            write!(out, ". Few keys are asked for twice: a cache will hardly help")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    /// Which policy is recommended if `adaptive` needs this capacity, `s3fifo` twice as much, `lru` a tenth more than that,
    /// and no other gets there.
    fn recommended(capacity: u64, entry: EntryBytes) -> &'static str {
        let curve = |name| {
            let ratios = match name {
                "optimum" => [1.0; 3],
                "adaptive" => [WORTHWHILE; 3],
                "s3fifo" => [0.0, WORTHWHILE, WORTHWHILE],
                "lru" => [0.0, 0.0, WORTHWHILE],
                _ => [0.0; 3],
            };
            Curve { name, ratios: ratios.to_vec() }
        };
        let names = std::iter::once("optimum").chain(CONTENDERS.iter().map(|it| it.name));
        let curves = Curves {
            title: String::new(),
            sample: Sample { requests: Vec::new(), distinct: 0, of: 0, rate: 1.0, beginning: false },
            capacities: vec![capacity, 2 * capacity, 22 * capacity / 10],
            curves: names.map(curve).collect(),
        };
        Advice::of(&curves, entry).unwrap().policy
    }

    #[test]
    fn what_a_policy_takes_by_itself_decides_too() {
        let (by_reference, inline) = (EntryBytes { all: 1_000, inline: 16 }, EntryBytes { all: 1_000, inline: 1_000 });
        assert_eq!(recommended(50, by_reference), "s3fifo");
        assert_eq!(recommended(50, inline), "lru", "slots of what s3fifo remembers are as large");
        assert_eq!(recommended(5_000, by_reference), "adaptive", "its trials cost the same whatever the capacity");
    }

    #[test]
    fn room_is_found_between_the_steps() {
        let (capacities, ratios) = ([10, 100, 1_000], [0.1, 0.5, 0.9]);
        assert_eq!(room_for(0.05, &capacities, &ratios), Some((10, 0)));
        assert_eq!(room_for(0.5, &capacities, &ratios), Some((100, 1)));
        assert_eq!(room_for(0.7, &capacities, &ratios), Some((316, 2)));
        assert_eq!(room_for(0.95, &capacities, &ratios), None);
    }
}
