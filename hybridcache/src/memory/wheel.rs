//! Which entries may have expired, without looking at all of them.

use std::collections::BTreeMap;

/// For no more places than these it is not worth it to give memory back.
const FEW: usize = 1_024;

/// Where in its wheel an entry is filed.
pub(crate) type Place = u32;

/// The place of an entry that is not filed, because it does not expire.
pub(crate) const NOWHERE: Place = Place::MAX;

/// The entries of one shard that expire, in coarse buckets by their deadline: of each its hash, and its place, by which it
/// is told from others of this hash. An entry that leaves gives its place back, so the wheel never holds more than there
/// are.
///
/// Whoever is due is looked up: it is removed if it is dead, and filed anew if it lives. So a deadline that moves on
/// costs nothing when it does.
///
/// The buckets are rings in one vector, each closed by a place that is nobody's: whoever leaves is unlinked at once, wherever
/// it is. The vector grows to the most places that are needed at once, and goes when the last entry does: places are
/// names, and cannot be moved.
pub(crate) struct Wheel {
    /// A bucket is two to the power of this wide: a shift tells it, where a division would be a tenth of a put.
    shift: u32,
    places: Vec<Filing>,
    /// How many of them entries have.
    taken: usize,
    /// The first of the places that are free; each names the next.
    free: Place,
    /// The place that closes each bucket's ring. Few of them are empty.
    buckets: BTreeMap<u64, Place>,
    /// The bucket that was filed into last, or [`NONE`], and a place in its ring. The next one mostly goes there, and its bucket
    /// is then not searched for.
    latest: (u64, Place),
}

/// Its bucket stands nowhere: four of these are a cache line.
struct Filing {
    hash: u64,
    before: Place,
    after: Place,
}

const NONE: u64 = u64::MAX;

impl Wheel {
    /// With buckets of at most this width: an entry is freed that much after its end, or a sweep later.
    pub(crate) fn new(width: u64) -> Self {
        let buckets = BTreeMap::new();
        let shift = width.max(1).ilog2();
        Self { shift, places: Vec::new(), taken: 0, free: NOWHERE, buckets, latest: (NONE, NOWHERE) }
    }

    /// An empty one with buckets of the same width.
    pub(crate) fn anew(&self) -> Self {
        Self::new(1 << self.shift)
    }

    /// A place for an entry that is about to be put in, in no bucket yet. One that never comes in, because its key's `Eq`
    /// panics, leaves a place behind that is nobody's.
    #[inline]
    pub(crate) fn reserve(&mut self, hash: u64) -> Place {
        self.taken += 1;
        let place = self.take_free();
        *self.at(place) = Filing { hash, before: place, after: place };
        place
    }

    /// Files an entry that was put in.
    #[inline]
    pub(crate) fn file(&mut self, place: Place, dies_at: u64) {
        self.link(place, self.bucket(dies_at));
    }

    /// Files an entry that was put in where one is that leaves for it, of which place and end are known, and takes that place back. If
    /// they share no bucket, or it is the newcomer itself, this does nothing, and returns false. So only the neighbours of that one are
    /// touched: each is a cache line that another core may have written to.
    #[inline]
    pub(crate) fn succeed(&mut self, place: Place, dies_at: u64, (leaving, end): (Place, u64)) -> bool {
        let bucket = self.bucket(dies_at);
        let succeeds = leaving != place && self.bucket(end) == bucket;
        if succeeds {
            let Filing { before, after, .. } = *self.at(leaving);
            self.at(before).after = place;
            self.at(after).before = place;
            let filing = self.at(place);
            (filing.before, filing.after) = (before, after);
            self.latest = (bucket, place);
            self.set_free(leaving);
            self.taken -= 1;
        }
        succeeds
    }

    /// Takes a place back from an entry that leaves, if it has one.
    #[inline(always)]
    pub(crate) fn forget(&mut self, place: Place) {
        if place == NOWHERE {
            return;
        }
        self.unlink(place);
        self.set_free(place);
        self.taken -= 1;
        if self.taken == 0 || self.buckets.len() > 2 * self.taken + FEW {
            self.give_memory_back();
        }
    }

    /// What few entries do not need.
    #[inline(never)]
    fn give_memory_back(&mut self) {
        if self.taken == 0 && self.places.len() > FEW {
            *self = self.anew();
        }
        if self.buckets.len() > 2 * self.taken + FEW {
            self.drop_empty();
        }
    }

    /// A place in a bucket that has passed, with the hash it was filed with.
    pub(crate) fn due(&mut self, now: u64) -> Option<(u64, Place)> {
        let present = self.bucket(now);
        loop {
            let ring = self.buckets.first_entry().filter(|ring| *ring.key() < present)?;
            let end = *ring.get();
            let first = self.places[end as usize].after;
            if first != end {
                return Some((self.at(first).hash, first));
            }
            let bucket = *ring.key();
            self.drop_bucket(bucket, end);
        }
    }

    /// Files an entry anew that lives until then: never before the present, or a sweep would not end.
    pub(crate) fn postpone(&mut self, place: Place, dies_at: u64) {
        self.unlink(place);
        self.link(place, self.bucket(dies_at));
    }

    /// How many entries are filed.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let ring = |&end: &Place| {
            let after = |place: &Place| Some(self.places[*place as usize].after).filter(|&after| after != end);
            std::iter::successors(after(&end), after).count()
        };
        let filed = self.buckets.values().map(ring).sum();
        assert_eq!(filed, self.taken);
        filed
    }

    /// Puts a place into a bucket's ring, behind the one that was filed last or behind its end.
    #[inline]
    fn link(&mut self, place: Place, bucket: u64) {
        let before = if self.latest.0 == bucket { self.latest.1 } else { self.end_of(bucket) };
        self.latest = (bucket, place);
        let after = std::mem::replace(&mut self.at(before).after, place);
        self.at(after).before = place;
        let filing = self.at(place);
        (filing.before, filing.after) = (before, after);
    }

    #[inline]
    fn unlink(&mut self, place: Place) {
        let Filing { before, after, .. } = *self.at(place);
        if self.latest.1 == place {
            self.latest.1 = before;
        }
        self.at(before).after = after;
        self.at(after).before = before;
    }

    /// So that however far apart the deadlines are there are about as many buckets as entries.
    #[cold]
    fn drop_empty(&mut self) {
        let ends: Vec<(u64, Place)> = self.buckets.iter().map(|(&bucket, &end)| (bucket, end)).collect();
        for (bucket, end) in ends {
            if self.at(end).after == end {
                self.drop_bucket(bucket, end);
            }
        }
    }

    /// Of an empty ring.
    fn drop_bucket(&mut self, bucket: u64, end: Place) {
        self.buckets.remove(&bucket);
        self.set_free(end);
        if self.latest.0 == bucket {
            self.latest = (NONE, NOWHERE);
        }
    }

    /// The place that closes a bucket's ring.
    fn end_of(&mut self, bucket: u64) -> Place {
        if let Some(&end) = self.buckets.get(&bucket) {
            return end;
        }
        let end = self.take_free();
        *self.at(end) = Filing { hash: 0, before: end, after: end };
        self.buckets.insert(bucket, end);
        end
    }

    #[inline]
    fn take_free(&mut self) -> Place {
        let place = self.free;
        if place == NOWHERE {
            self.places.push(Filing { hash: 0, before: NOWHERE, after: NOWHERE });
            return (self.places.len() - 1) as Place;
        }
        self.free = self.at(place).after;
        place
    }

    #[inline]
    fn set_free(&mut self, place: Place) {
        self.at(place).after = std::mem::replace(&mut self.free, place);
    }

    #[inline]
    fn bucket(&self, at: u64) -> u64 {
        (at >> self.shift).min(NONE - 1)
    }

    #[inline]
    fn at(&mut self, place: Place) -> &mut Filing {
        &mut self.places[place as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sweeps as a shard does: who is dead gives its place back.
    fn popped(wheel: &mut Wheel, now: u64, lives_until: impl Fn(u64) -> Option<u64>) -> Vec<u64> {
        let mut popped = Vec::new();
        while let Some((hash, place)) = wheel.due(now) {
            popped.push(hash);
            match lives_until(hash) {
                Some(dies_at) => wheel.postpone(place, dies_at.max(now)),
                None => wheel.forget(place),
            }
        }
        popped.sort_unstable();
        popped
    }

    impl Wheel {
        fn add(&mut self, hash: u64, dies_at: u64) -> Place {
            let place = self.reserve(hash);
            self.file(place, dies_at);
            place
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
        assert_eq!(wheel.len(), 0);
        let most = (30 + wheel.buckets.len()) as Place;
        for i in 0..10_000 {
            let place = wheel.add(7, 100 + i % 30);
            assert!(place < most, "no more places than were needed at once");
            wheel.forget(place);
        }
        assert_eq!(popped(&mut wheel, 1 << 40, |_| None), [0_u64; 0]);
    }

    #[test]
    fn deadlines_far_apart_leave_few_buckets_behind() {
        let mut wheel = Wheel::new(8);
        wheel.add(1, u64::MAX - 1);
        for i in 0..100_000 {
            let place = wheel.add(7, i * 1_000);
            wheel.forget(place);
            assert!(wheel.places.len() <= FEW + 10, "{} places for two entries", wheel.places.len());
        }
        assert_eq!(wheel.len(), 1);
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
            let place = wheel.reserve(hash);
            if random(3) == 0 && !filed.is_empty() {
                let (_, end, leaving) = filed.swap_remove(random(filed.len() as u64) as usize);
                if !wheel.succeed(place, dies_at, (leaving, end)) {
                    wheel.file(place, dies_at);
                    wheel.forget(leaving);
                }
            } else {
                wheel.file(place, dies_at);
            }
            filed.push((hash, dies_at, place));
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
    fn a_place_whose_entry_never_came_in_disturbs_nobody() {
        let mut wheel = Wheel::new(8);
        let first = wheel.add(1, 5);
        let lost = wheel.reserve(2);
        // The newcomer itself is the first to leave, where a store does not take it.
        let own = wheel.reserve(3);
        assert!(!wheel.succeed(own, 5, (own, 5)));
        wheel.file(own, 5);
        wheel.forget(own);
        assert_ne!(wheel.add(4, 5), lost);
        assert_eq!(popped(&mut wheel, 10, |_| None), [1, 4]);
        assert_ne!(first, lost);
    }

    #[test]
    fn what_comes_late_is_not_filed_into_a_bucket_that_is_gone() {
        let mut wheel = Wheel::new(8);
        let first = wheel.add(1, 5);
        wheel.forget(first);
        assert_eq!(popped(&mut wheel, 10, |_| None), [0_u64; 0], "the bucket goes");
        wheel.add(2, 5);
        wheel.add(3, 100);
        assert_eq!(wheel.len(), 2);
        assert_eq!(popped(&mut wheel, 1_000, |_| None), [2, 3]);
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
        for place in places {
            wheel.forget(place);
        }
        assert_eq!((wheel.len(), wheel.places.capacity()), (0, 0));
        assert_eq!(wheel.add(7, 5), 0);
        assert_eq!(popped(&mut wheel, 1_000, |_| None), [7]);
    }
}
