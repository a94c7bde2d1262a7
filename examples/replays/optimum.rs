//! What no policy can exceed: Bélády's optimum, which knows the future.

use std::collections::BinaryHeap;

/// Not asked for again.
const NEVER: u32 = u32::MAX;

/// When the key of each request is asked for next.
#[must_use]
pub fn next_uses(requests: &[u32], distinct: usize) -> Vec<u32> {
    let mut next = vec![NEVER; distinct];
    let mut uses = vec![NEVER; requests.len()];
    for (at, &key) in requests.iter().enumerate().rev() {
        uses[at] = std::mem::replace(&mut next[key as usize], at as u32);
    }
    uses
}

/// The hits with `capacity` entries, if of those that could stay the one is given up that is asked for last, be it the
/// new one. `None` if `go_on` said no.
#[must_use]
pub fn hits(
    requests: &[u32],
    next_uses: &[u32],
    distinct: usize,
    capacity: usize,
    mut go_on: impl FnMut() -> bool,
) -> Option<u64> {
    // When the key is asked for next, if it is in.
    let mut held = vec![NEVER; distinct];
    // The same, latest first; what is no longer so is passed over when it comes up.
    let mut latest = BinaryHeap::new();
    let (mut hits, mut len) = (0, 0);
    for (at, (&key, &next)) in requests.iter().zip(next_uses).enumerate() {
        if at % 65_536 == 0 && !go_on() {
            return None;
        }
        let was = std::mem::replace(&mut held[key as usize], next);
        if was == at as u32 {
            hits += 1;
            len -= 1;
        }
        if next == NEVER {
            continue;
        }
        latest.push((next, key));
        len += 1;
        if len > capacity {
            while let Some((next, key)) = latest.pop() {
                if held[key as usize] == next {
                    held[key as usize] = NEVER;
                    break;
                }
            }
            len -= 1;
        }
    }
    Some(hits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn optimum(requests: &[u32], capacity: usize) -> u64 {
        let distinct = requests.iter().max().map_or(0, |key| *key as usize + 1);
        hits(requests, &next_uses(requests, distinct), distinct, capacity, || true).unwrap()
    }

    /// The best there is by trying everything: keep the new one in the place of any other, or do not keep it.
    fn exhaustive(requests: &[u32], capacity: usize, held: &[u32]) -> u64 {
        let Some((&key, rest)) = requests.split_first() else { return 0 };
        if held.contains(&key) {
            return 1 + exhaustive(rest, capacity, held);
        }
        let mut best = exhaustive(rest, capacity, held);
        let with = |without: usize| held.iter().enumerate().filter(move |(i, _)| *i != without).map(|(_, key)| *key);
        if held.len() < capacity {
            best = best.max(exhaustive(rest, capacity, &with(usize::MAX).chain([key]).collect::<Vec<_>>()));
        }
        for without in 0..held.len() {
            best = best.max(exhaustive(rest, capacity, &with(without).chain([key]).collect::<Vec<_>>()));
        }
        best
    }

    #[test]
    fn nothing_is_better() {
        let mut state = 7_u64;
        for _ in 0..60 {
            let requests: Vec<u32> = (0..10)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 60) as u32 % 5
                })
                .collect();
            for capacity in 1..=3 {
                assert_eq!(optimum(&requests, capacity), exhaustive(&requests, capacity, &[]), "{requests:?}");
            }
        }
    }

    #[test]
    fn with_room_for_all_only_the_first_requests_miss() {
        assert_eq!(optimum(&[0, 1, 2, 0, 1, 2, 0], 3), 4);
        assert_eq!(optimum(&[0, 0, 0], 1), 2);
    }
}
