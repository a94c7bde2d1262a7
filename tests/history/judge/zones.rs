//! Whether what was read and written of one register is linearizable: by zones, after Gibbons and Korach (*Testing Shared Memories*,
//! 1997). It is that easy because each write writes what no other does.
//!
//! All that concerns one version has to take effect without anything of another in between. If one of its operations ends before
//! another begins, that is for at least the time from the first end to the last begin: its *forward* zone. Otherwise they all have
//! one moment in common, anywhere between the last begin and the first end: its *backward* zone. There is an order if and only if
//! no read ends before its write begins, no two forward zones overlap, and no forward zone contains a backward one.

use std::collections::BTreeMap;

use super::super::operation::{Operation, What};

#[derive(Clone, Copy, Debug)]
struct Zone {
    version: u64,
    first_end: u64,
    last_begin: u64,
    /// When its write began, if it is known.
    written: Option<u64>,
}

/// Why these operations on one key are not linearizable; `None` if they are. Version 0 was there before.
pub(super) fn fault(operations: &[&Operation]) -> Option<String> {
    let mut zones = BTreeMap::new();
    for operation in operations {
        let version = operation.version;
        let first_end = if version == 0 { 0 } else { u64::MAX };
        let zone = zones.entry(version).or_insert(Zone { version, first_end, last_begin: 0, written: None });
        zone.last_begin = zone.last_begin.max(operation.start);
        // One that was not acknowledged may take effect at any time after its begin.
        if operation.what != What::Unsure {
            zone.first_end = zone.first_end.min(operation.end);
        }
        if !operation.is_read() {
            zone.written = Some(operation.start);
        }
    }
    let early = |zone: &&Zone| zone.written.is_some_and(|written| zone.first_end < written);
    if let Some(zone) = zones.values().find(early) {
        return Some(format!("version {} was read before it was written: {zone:?}", zone.version));
    }
    let (mut forward, backward): (Vec<&Zone>, Vec<&Zone>) =
        zones.values().partition(|zone: &&Zone| zone.first_end < zone.last_begin);
    forward.sort_unstable_by_key(|zone| zone.first_end);
    for pair in forward.windows(2) {
        if pair[1].first_end < pair[0].last_begin {
            return Some(format!("versions {} and {} at once: {pair:?}", pair[0].version, pair[1].version));
        }
    }
    for inner in backward {
        let after = forward.partition_point(|zone| zone.first_end < inner.last_begin);
        if let Some(outer) = forward[..after].last()
            && inner.first_end < outer.last_begin
        {
            return Some(format!("version {} in the midst of {}: {inner:?}, {outer:?}", inner.version, outer.version));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    fn operation(what: What, start: u64, end: u64, version: u64) -> Operation {
        Operation { process: 1, what, key: 1, start, end, version, load: 0, loaded_at: 0 }
    }

    fn is_linearizable(operations: &[Operation]) -> bool {
        fault(&operations.iter().collect::<Vec<_>>()).is_none()
    }

    /// By trying every order.
    fn has_an_order(operations: &[Operation], version: u64) -> bool {
        let ends = |operation: &Operation| if operation.what == What::Unsure { u64::MAX } else { operation.end };
        let soonest = operations.iter().map(ends).min().unwrap_or(u64::MAX);
        // What was not acknowledged may also never take effect.
        operations.iter().all(|operation| operation.what == What::Unsure)
            || (0..operations.len()).any(|first| {
                let (operation, mut others) = (operations[first], operations.to_vec());
                others.remove(first);
                let may_be_first = operation.start <= soonest;
                match operation.is_read() {
                    true => may_be_first && operation.version == version && has_an_order(&others, version),
                    false => may_be_first && has_an_order(&others, operation.version),
                }
            })
    }

    #[test]
    fn what_no_order_explains_is_found() {
        use What::{Guarded, Redis, Unsure};
        let written = operation(Guarded, 10, 20, 1);
        let reads = |of: &[(u64, u64, u64)]| {
            let reads = of.iter().map(|(start, end, version)| operation(Redis, *start, *end, *version));
            is_linearizable(&[vec![written], reads.collect()].concat())
        };
        assert!(reads(&[(1, 2, 0), (12, 13, 0), (14, 15, 1), (30, 31, 1)]));
        assert!(!reads(&[(1, 2, 1)]), "before it was written");
        assert!(!reads(&[(30, 31, 0)]), "after it was acknowledged");
        assert!(!reads(&[(12, 13, 1), (14, 15, 0)]), "forwards and back again");
        let pending = [operation(Unsure, 10, 20, 1), operation(Redis, 30, 31, 0), operation(Redis, 32, 33, 1)];
        assert!(is_linearizable(&pending));
        assert!(!is_linearizable(&[&pending[..], &[operation(Redis, 34, 35, 0)]].concat()));
    }

    #[test]
    fn it_says_what_trying_every_order_says() {
        let mut random = Random::seeded(7);
        let mut found = [0, 0];
        for _ in 0..20_000 {
            let writes = 1 + random.below(3);
            // Every instant is another, so that no two begin or end together.
            let mut at = |count: u64| {
                let mut instants: Vec<_> = (0..2).map(|turn| 1 + (random.below(40) * 2 + turn) * 16 + count).collect();
                instants.sort_unstable();
                (instants[0], instants[1])
            };
            let mut operations = Vec::new();
            for count in 0..writes + 4 {
                let (start, end) = at(count);
                operations.push((start, end));
            }
            let operations: Vec<_> = (0..)
                .zip(operations)
                .map(|(count, (start, end))| match count {
                    _ if count >= writes => operation(What::Redis, start, end, random.below(writes + 1)),
                    _ if random.below(4) == 0 => operation(What::Unsure, start, end, count + 1),
                    _ => operation(What::Guarded, start, end, count + 1),
                })
                .collect();
            let ordered = has_an_order(&operations, 0);
            assert_eq!(is_linearizable(&operations), ordered, "{operations:#?}");
            found[usize::from(ordered)] += 1;
        }
        assert!(found.iter().all(|count| *count > 1_000), "{found:?}");
    }
}
