//! Which keys left lately: fingerprints, not keys.

use super::{below, spread};

/// A bucket is half a cache line.
const WAYS: usize = 8;

/// Six bytes for each entry. A fingerprint of 15 bits and the time of leaving share four bytes; a key that never left is
/// taken for one that did in one of 4,000 cases.
#[derive(Debug)]
pub(super) struct Ghosts {
    /// 0 is an empty place.
    buckets: Vec<[u32; WAYS]>,
    /// Evictions so far.
    now: usize,
    /// Time is counted in steps of 2^step evictions, so that 16 bits last for a thousand times the capacity.
    step: u32,
}

impl Ghosts {
    pub(super) fn new(entries: usize) -> Self {
        // Half as many again as are remembered, because some buckets fill earlier than others.
        let buckets = (entries + entries / 2).div_ceil(WAYS).max(1);
        Self { buckets: vec![[0; WAYS]; buckets], now: 0, step: (entries / 64).max(1).ilog2() }
    }

    fn time(&self) -> u16 {
        (self.now >> self.step) as u16
    }

    fn place(&self, hash: u64) -> (usize, u32) {
        let spread = spread(hash, 0xA24B_AED4_963E_E407);
        (below(self.buckets.len(), spread), (spread as u32 & 0xFFFF_0000) | 1 << 16)
    }

    /// Notes that a key leaves.
    pub(super) fn add(&mut self, hash: u64) {
        self.now += 1;
        let (now, (bucket, fingerprint)) = (self.time(), self.place(hash));
        let age = |ghost: u32| if ghost == 0 { u32::MAX } else { u32::from(now.wrapping_sub(ghost as u16)) };
        if let Some(oldest) = self.buckets[bucket].iter_mut().max_by_key(|ghost| age(**ghost)) {
            *oldest = fingerprint | u32::from(now);
        }
    }

    /// Forgets a key that comes back; whether it left within the last `limit` evictions.
    pub(super) fn take(&mut self, hash: u64, limit: usize) -> bool {
        let (now, (bucket, fingerprint)) = (self.time(), self.place(hash));
        let ghost = self.buckets[bucket].iter_mut().find(|ghost| **ghost & 0xFFFF_0000 == fingerprint);
        ghost.is_some_and(|ghost| {
            let age = usize::from(now.wrapping_sub(*ghost as u16)) << self.step;
            *ghost = 0;
            age < limit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u64) -> u64 {
        spread(key, 0x9E37_79B9_7F4A_7C15).rotate_left(32)
    }

    #[test]
    fn a_key_that_left_lately_is_known_once() {
        let mut ghosts = Ghosts::new(1_000);
        (0..1_000).for_each(|key| ghosts.add(hash(key)));
        let known = (500..1_000).filter(|key| ghosts.take(hash(*key), 500 + 16)).count();
        assert!(known > 490, "{known}");
        let again = (500..1_000).filter(|key| ghosts.take(hash(*key), 1_000)).count();
        assert!(again < 3, "{again}");
    }

    #[test]
    fn one_that_left_long_ago_or_never_is_not_known() {
        let mut ghosts = Ghosts::new(1_000);
        (0..2_000).for_each(|key| ghosts.add(hash(key)));
        let known = (0..1_000).chain(9_000..10_000).filter(|key| ghosts.take(hash(*key), 1_000)).count();
        assert!(known < 20, "{known}");
    }
}
