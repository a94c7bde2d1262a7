//! Which entries may have expired, without looking at all of them.

use std::collections::BTreeMap;

/// At most so many entries are taken out at once, under one lock.
const BATCH: usize = 1_024;

/// Where in its wheel an entry is filed.
pub(crate) type Place = u32;

/// The place of an entry that is not filed, because it does not expire.
pub(crate) const NOWHERE: Place = Place::MAX;

/// The entries of one stripe of a cache that expire, in coarse buckets by their deadline: of each its hash, and its
/// place, by which it is told from others of this hash. An entry that leaves gives its place back, so the wheel never
/// holds more than there are.
///
/// Whoever is popped is looked up: it is removed if it is dead, and filed anew if it lives. So a deadline that moves on
/// costs nothing when it does.
///
/// It has no lock of its own: whoever puts an entry in, or evicts one, holds that of the key's stripe anyway.
///
/// The buckets are lists in one vector: whoever leaves is unlinked at once, wherever it is. The vector grows to the most
/// places that are needed at once, and goes when the last entry does: places are names, and cannot be moved.
pub(crate) struct Wheel {
    /// A bucket is two to the power of this wide: a shift tells it, where a division would be a tenth of a put.
    shift: u32,
    places: Vec<Filing>,
    /// How many of them are not free.
    taken: usize,
    /// The first of the places that are free; each names the next.
    free: Place,
    /// The first of each bucket that is not empty.
    buckets: BTreeMap<u64, Place>,
    /// The place that was filed last. The next one mostly goes to the same bucket, which is then not searched for.
    latest: Place,
}

struct Filing {
    hash: u64,
    /// In whose list it is; or [`POPPED`] or [`FREE`].
    bucket: u64,
    before: Place,
    after: Place,
}

/// Taken out by a sweep, and not yet given or put back.
const POPPED: u64 = u64::MAX;
const FREE: u64 = u64::MAX - 1;

impl Wheel {
    /// With buckets of at most this width: an entry is freed that much after its end, or a sweep later.
    pub(crate) fn new(width: u64) -> Self {
        let buckets = BTreeMap::new();
        Self { shift: width.max(1).ilog2(), places: Vec::new(), taken: 0, free: NOWHERE, buckets, latest: NOWHERE }
    }

    /// Files an entry that is about to be put in.
    #[inline]
    pub(crate) fn add(&mut self, hash: u64, dies_at: u64) -> Place {
        let filing = Filing { hash, bucket: FREE, before: NOWHERE, after: NOWHERE };
        self.taken += 1;
        let mut place = self.free;
        if place == NOWHERE {
            place = self.places.len() as Place;
            self.places.push(filing);
        } else {
            self.free = self.at(place).after;
            *self.at(place) = filing;
        }
        self.link(place, self.bucket(dies_at));
        place
    }

    /// Takes a place back from an entry that leaves.
    #[inline]
    pub(crate) fn forget(&mut self, place: Place) {
        self.unlink(place);
        let free = self.free;
        let filing = self.at(place);
        (filing.bucket, filing.after) = (FREE, free);
        self.free = place;
        self.taken -= 1;
        if self.taken == 0 && self.places.capacity() > BATCH {
            (self.places, self.free, self.latest) = (Vec::new(), NOWHERE, NOWHERE);
        }
    }

    /// Takes some places out of a bucket that has passed; none if no bucket has.
    pub(crate) fn pop(&mut self, now: u64) -> Vec<(u64, Place)> {
        let present = self.bucket(now);
        let mut batch = Vec::new();
        let Some((&bucket, &first)) = self.buckets.first_key_value().filter(|(bucket, _)| **bucket < present) else {
            return batch;
        };
        let mut next = first;
        while next != NOWHERE && batch.len() < BATCH {
            let filing = self.at(next);
            filing.bucket = POPPED;
            batch.push((filing.hash, next));
            next = filing.after;
        }
        if next == NOWHERE {
            self.buckets.remove(&bucket);
        } else {
            self.at(next).before = NOWHERE;
            self.buckets.insert(bucket, next);
        }
        batch
    }

    /// Files an entry again that was popped at `now` and lives, unless it has left meanwhile.
    pub(crate) fn put_back(&mut self, hash: u64, place: Place, dies_at: u64, now: u64) {
        // With the last entry that left meanwhile, the places may be gone too.
        if self.places.get(place as usize).is_some_and(|filing| filing.bucket == POPPED && filing.hash == hash) {
            // Never into a bucket that the sweep still visits, or it would not end.
            self.link(place, self.bucket(dies_at.max(now)));
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.iter().filter(|filing| filing.bucket != FREE).count()
    }

    /// Puts a place into a bucket's list, behind the one that was filed last or behind the first.
    #[inline]
    fn link(&mut self, place: Place, bucket: u64) {
        let latest = self.places.get(self.latest as usize).filter(|latest| latest.bucket == bucket);
        let before = match latest {
            Some(_) => self.latest,
            None => *self.buckets.entry(bucket).or_insert(place),
        };
        self.latest = place;
        let filing = self.at(place);
        filing.bucket = bucket;
        if before == place {
            (filing.before, filing.after) = (NOWHERE, NOWHERE);
            return;
        }
        let after = std::mem::replace(&mut self.at(before).after, place);
        let filing = self.at(place);
        (filing.before, filing.after) = (before, after);
        if after != NOWHERE {
            self.at(after).before = place;
        }
    }

    /// Takes a place out of its list, if it is in one.
    fn unlink(&mut self, place: Place) {
        let filing = self.at(place);
        let Filing { bucket, before, after, .. } = *filing;
        if bucket == POPPED {
            return;
        }
        if after != NOWHERE {
            self.at(after).before = before;
        }
        if before != NOWHERE {
            self.at(before).after = after;
        } else if after != NOWHERE {
            self.buckets.insert(bucket, after);
        } else {
            self.buckets.remove(&bucket);
        }
    }

    #[inline]
    fn bucket(&self, at: u64) -> u64 {
        (at >> self.shift).min(FREE - 1)
    }

    #[inline]
    fn at(&mut self, place: Place) -> &mut Filing {
        &mut self.places[place as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sweeps as the cache does: who is dead gives its place back.
    fn popped(wheel: &mut Wheel, now: u64, lives_until: impl Fn(u64) -> Option<u64>) -> Vec<u64> {
        let mut popped = Vec::new();
        loop {
            let batch = wheel.pop(now);
            if batch.is_empty() {
                popped.sort_unstable();
                return popped;
            }
            for (hash, place) in batch {
                popped.push(hash);
                match lives_until(hash) {
                    Some(dies_at) => wheel.put_back(hash, place, dies_at, now),
                    None => wheel.forget(place),
                }
            }
        }
    }

    #[test]
    fn only_what_has_passed_is_popped_and_what_moved_comes_later() {
        let mut wheel = Wheel::new(8);
        for hash in 0..5_000_u64 {
            wheel.add(hash, 5);
        }
        wheel.add(9_999, 25);
        assert_eq!(popped(&mut wheel, 7, |_| None), [0_u64; 0], "the bucket has not passed");
        assert_eq!(popped(&mut wheel, 10, |hash| (hash == 7).then_some(40)).len(), 5_000);
        assert_eq!(wheel.len(), 2);
        assert_eq!(popped(&mut wheel, 60, |_| None), [7, 9_999]);
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn what_leaves_early_leaves_nothing_behind_and_its_place_is_used_again() {
        let mut wheel = Wheel::new(8);
        let places: Vec<Place> = (0..30).map(|i| wheel.add(7, 100 + i)).collect();
        // From within the lists, from their ends, and the last of a bucket.
        for i in 0..30 {
            wheel.forget(places[i * 7 % 30]);
        }
        assert_eq!((wheel.len(), wheel.buckets.len()), (0, 0));
        for i in 0..10_000 {
            let place = wheel.add(7, 100 + i);
            assert!(place < 30, "no more places than were needed at once");
            wheel.forget(place);
        }
        assert_eq!(popped(&mut wheel, 1 << 40, |_| None), [0_u64; 0]);
    }

    #[test]
    fn whatever_the_order_each_is_popped_in_its_time() {
        let mut wheel = Wheel::new(8);
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut filed: Vec<(u64, u64, Place)> = Vec::new();
        for hash in 0..20_000 {
            let now = hash / 2;
            let dies_at = now + random(500);
            filed.push((hash, dies_at, wheel.add(hash, dies_at)));
            if random(3) == 0 {
                let (_, _, place) = filed.swap_remove(random(filed.len() as u64) as usize);
                wheel.forget(place);
            }
            if random(50) == 0 {
                let due = |dies_at: u64| dies_at / 8 < now / 8;
                let mut wanted: Vec<u64> = filed.iter().filter(|(_, at, _)| due(*at)).map(|(hash, ..)| *hash).collect();
                wanted.sort_unstable();
                assert_eq!(popped(&mut wheel, now, |_| None), wanted);
                filed.retain(|(_, at, _)| !due(*at));
                assert_eq!(wheel.len(), filed.len());
            }
        }
    }

    #[test]
    fn of_two_with_one_hash_each_has_its_own_place() {
        let mut wheel = Wheel::new(8);
        let (first, second) = (wheel.add(1, 5), wheel.add(1, 6));
        assert_ne!(first, second);
        wheel.forget(first);
        assert_eq!(popped(&mut wheel, 10, |_| None), [1]);
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn a_place_that_is_given_back_while_it_is_popped_stays_so() {
        let mut wheel = Wheel::new(8);
        let place = wheel.add(1, 5);
        assert_eq!(wheel.pop(10), [(1, place)]);
        wheel.forget(place);
        assert_eq!(wheel.add(17, 500), place, "and somebody else has it by now");
        wheel.put_back(1, place, 50, 10);
        assert_eq!(popped(&mut wheel, 499, |_| None), [0_u64; 0], "whose deadline is its own");
        assert_eq!(popped(&mut wheel, 600, |_| None), [17]);
    }

    #[test]
    fn a_sweep_ends_though_a_deadline_does_not_move_on() {
        let mut wheel = Wheel::new(8);
        wheel.add(1, 5);
        assert_eq!(popped(&mut wheel, 10, |_| Some(5)), [1]);
    }

    #[test]
    fn the_places_go_with_the_last_entry() {
        let mut wheel = Wheel::new(8);
        let places: Vec<Place> = (0..5_000).map(|hash| wheel.add(hash, 5)).collect();
        let batch = wheel.pop(100);
        for place in places {
            wheel.forget(place);
        }
        assert_eq!((wheel.len(), wheel.places.capacity()), (0, 0));
        // Whoever was found alive, and left before it could be put back.
        let (hash, place) = batch[0];
        wheel.put_back(hash, place, 200, 100);
        assert_eq!(popped(&mut wheel, 1_000, |_| None), [0_u64; 0]);
        assert_eq!(wheel.add(7, 5), 0);
        assert_eq!(popped(&mut wheel, 1_000, |_| None), [7]);
    }
}
