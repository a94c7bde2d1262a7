//! Which entries may have expired, without looking at all of them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use crate::key::Prehashed;

/// At most so many hashes are taken out under one lock.
const BATCH: usize = 1_024;
const STRIPES: usize = 8;

/// Hashes, each with how often it was added and not forgotten: a key may be evicted by one thread and loaded again by
/// another, and the one must not forget what the other has added.
type Bucket = HashMap<u64, u32, Prehashed>;

/// The hashes of the entries that expire, in coarse buckets by their deadline. A hash is enough: whoever is popped is
/// looked up again, and removed only if it is dead. A deadline that moved meanwhile puts it into a later bucket.
///
/// Both `add` and `forget` cost one short lock and a hash-set operation; an entry that leaves early is forgotten, so
/// the wheel never holds more than the entries there are, give or take those that are on their way.
pub(crate) struct Wheel {
    stripes: [Mutex<BTreeMap<u64, Bucket>>; STRIPES],
    width: u64,
}

impl Wheel {
    /// Buckets as wide as the interval between two sweeps: narrower ones would not free anything earlier.
    pub(crate) fn new(width: u64) -> Self {
        Self { stripes: std::array::from_fn(|_| Mutex::default()), width: width.max(1) }
    }

    pub(crate) fn add(&self, hash: u64, dies_at: u64) {
        *self.stripe(hash).lock().entry(self.bucket(dies_at)).or_default().entry(hash).or_default() += 1;
    }

    pub(crate) fn forget(&self, hash: u64, dies_at: u64) {
        let bucket = self.bucket(dies_at);
        let mut stripe = self.stripe(hash).lock();
        if let Some(hashes) = stripe.get_mut(&bucket) {
            if let Entry::Occupied(mut count) = hashes.entry(hash) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            if hashes.is_empty() {
                stripe.remove(&bucket);
            }
        }
    }

    /// Calls `expire` for each hash whose bucket has passed; it returns the new deadline of one that still lives.
    pub(crate) fn sweep(&self, now: u64, mut expire: impl FnMut(u64) -> Option<u64>) {
        let present = self.bucket(now);
        for stripe in &self.stripes {
            loop {
                let batch = take(&mut stripe.lock(), present);
                if batch.is_empty() {
                    break;
                }
                for hash in batch {
                    if let Some(dies_at) = expire(hash) {
                        // Never into a bucket that this sweep still visits, or it would not end.
                        let bucket = self.bucket(dies_at).max(present);
                        *stripe.lock().entry(bucket).or_default().entry(hash).or_default() += 1;
                    }
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.lock().values().map(Bucket::len).sum::<usize>()).sum()
    }

    fn bucket(&self, at: u64) -> u64 {
        at / self.width
    }

    fn stripe(&self, hash: u64) -> &Mutex<BTreeMap<u64, Bucket>> {
        &self.stripes[(hash >> 57) as usize % STRIPES]
    }
}

/// Takes up to [`BATCH`] hashes out of the buckets before `present`.
fn take(stripe: &mut BTreeMap<u64, Bucket>, present: u64) -> Vec<u64> {
    let Some(mut first) = stripe.first_entry().filter(|bucket| *bucket.key() < present) else {
        return Vec::new();
    };
    if first.get().len() <= BATCH {
        return first.remove().into_keys().collect();
    }
    let batch: Vec<u64> = first.get().keys().take(BATCH).copied().collect();
    for hash in &batch {
        first.get_mut().remove(hash);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_passed_is_popped_and_what_moved_comes_later() {
        let wheel = Wheel::new(10);
        for hash in 0..5_000_u64 {
            wheel.add(hash, 5);
        }
        wheel.add(9_999, 25);
        let mut popped = 0;
        wheel.sweep(9, |_| unreachable!("the bucket has not passed"));
        wheel.sweep(10, |hash| {
            popped += 1;
            (hash == 7).then_some(40)
        });
        assert_eq!(popped, 5_000);
        assert_eq!(wheel.len(), 2);
        let mut rest = Vec::new();
        wheel.sweep(60, |hash| {
            rest.push(hash);
            None
        });
        rest.sort_unstable();
        assert_eq!(rest, [7, 9_999]);
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn what_leaves_early_is_forgotten() {
        let wheel = Wheel::new(10);
        wheel.add(u64::MAX, 100);
        wheel.forget(u64::MAX, 100);
        wheel.forget(u64::MAX, 100);
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn one_who_forgets_leaves_what_another_has_added() {
        let wheel = Wheel::new(10);
        wheel.add(1, 5);
        wheel.add(1, 6);
        wheel.forget(1, 5);
        assert_eq!(wheel.len(), 1);
        wheel.forget(1, 6);
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn a_sweep_ends_though_a_deadline_does_not_move_on() {
        let wheel = Wheel::new(10);
        wheel.add(1, 5);
        let mut visits = 0;
        wheel.sweep(10, |_| {
            visits += 1;
            Some(5)
        });
        assert_eq!(visits, 1);
    }
}
