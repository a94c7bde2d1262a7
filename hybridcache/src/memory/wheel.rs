//! Which entries may have expired, without looking at all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// At most so many entries are taken out under one lock.
const BATCH: usize = 1_024;
const STRIPES: usize = 16;

/// Where in its stripe of the wheel an entry is filed.
pub(crate) type Place = u32;

/// The place of an entry that is not filed, because it does not expire.
pub(crate) const NOWHERE: Place = Place::MAX;

/// The entries that expire, in coarse buckets by their deadline: of each its hash, and its place, by which it is told
/// from others of this hash. A place belongs to its entry, which gives it back when it leaves, or hands it on to the
/// one that replaces it: so the wheel never holds more than there are entries.
///
/// An entry is filed under its deadline or an earlier one. Whoever is popped is looked up: it is removed if it is
/// dead, and filed anew if it lives. So a deadline that moves on costs nothing when it does.
pub(crate) struct Wheel {
    stripes: Box<[Stripe]>,
    width: u64,
    used: AtomicBool,
}

// Neighbouring cache lines are fetched in pairs: two of them apart.
#[repr(align(128))]
#[derive(Default)]
struct Stripe(Mutex<Filings>);

/// Lists in one vector: whoever leaves is unlinked at once, wherever it is. The vector grows to the most places that
/// were ever needed at once.
struct Filings {
    places: Vec<Filing>,
    /// The first of the places that are free; each names the next.
    free: Place,
    /// The first of each bucket that is not empty.
    buckets: BTreeMap<u64, Place>,
}

struct Filing {
    hash: u64,
    state: State,
    before: Place,
    after: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the list of this bucket.
    In(u64),
    /// Popped by a sweep, which has not looked it up yet.
    Popped,
    Free,
}

impl Default for Filings {
    fn default() -> Self {
        Self { places: Vec::new(), free: NOWHERE, buckets: BTreeMap::new() }
    }
}

impl Wheel {
    /// Buckets as wide as the interval between two sweeps: narrower ones would not free anything earlier.
    pub(crate) fn new(width: u64) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            width: width.max(1),
            used: AtomicBool::new(false),
        }
    }

    /// Whether anything was ever filed.
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Files an entry that is about to be put in.
    pub(crate) fn add(&self, hash: u64, dies_at: u64) -> Place {
        if !self.is_used() {
            self.used.store(true, Ordering::Relaxed);
        }
        let bucket = self.bucket(dies_at);
        self.stripe(hash).lock().add(hash, bucket)
    }

    /// Gives the place of an entry back.
    pub(crate) fn forget(&self, hash: u64, place: Place) {
        self.stripe(hash).lock().forget(place);
    }

    /// Files the owner of a place under another deadline.
    pub(crate) fn refile(&self, hash: u64, place: Place, dies_at: u64) {
        let bucket = self.bucket(dies_at);
        let mut stripe = self.stripe(hash).lock();
        stripe.unlink(place);
        stripe.link(place, bucket);
    }

    /// Calls `settle` for each place whose bucket has passed, with the hash. It removes the owner if that is dead, and
    /// returns the deadline of one that lives.
    pub(crate) fn sweep(&self, now: u64, mut settle: impl FnMut(u64, Place) -> Option<u64>) {
        let present = self.bucket(now);
        for Stripe(stripe) in &self.stripes {
            loop {
                let batch = stripe.lock().pop(present);
                if batch.is_empty() {
                    break;
                }
                for (hash, place) in batch {
                    let lives_until = settle(hash, place);
                    // Never into a bucket that this sweep still visits, or it would not end. A place whose owner was
                    // not found is either given back by now or on its way from one entry to the next: for the latter
                    // the next sweep looks again.
                    let bucket = lives_until.map_or(present, |dies_at| self.bucket(dies_at).max(present));
                    stripe.lock().put_back(hash, place, bucket);
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let taken = |filings: &Filings| filings.places.iter().filter(|filing| filing.state != State::Free).count();
        self.stripes.iter().map(|Stripe(stripe)| taken(&stripe.lock())).sum()
    }

    fn bucket(&self, at: u64) -> u64 {
        at / self.width
    }

    fn stripe(&self, hash: u64) -> &Mutex<Filings> {
        // Bits that neither the store's shards and tables nor the flights choose by.
        &self.stripes[(hash >> 48) as usize % STRIPES].0
    }
}

impl Filings {
    fn add(&mut self, hash: u64, bucket: u64) -> Place {
        let filing = Filing { hash, state: State::Free, before: NOWHERE, after: NOWHERE };
        let place = self.free;
        if place == NOWHERE {
            let place = self.places.len() as Place;
            self.places.push(filing);
            self.link(place, bucket);
            return place;
        }
        self.free = self.at(place).after;
        *self.at(place) = filing;
        self.link(place, bucket);
        place
    }

    fn forget(&mut self, place: Place) {
        self.unlink(place);
        let free = self.free;
        let filing = self.at(place);
        (filing.state, filing.after) = (State::Free, free);
        self.free = place;
    }

    /// Puts a place at the head of a bucket's list.
    fn link(&mut self, place: Place, bucket: u64) {
        let first = self.buckets.insert(bucket, place);
        let filing = self.at(place);
        (filing.state, filing.before, filing.after) = (State::In(bucket), NOWHERE, first.unwrap_or(NOWHERE));
        if let Some(first) = first {
            self.at(first).before = place;
        }
    }

    /// Takes a place out of its list, if it is in one.
    fn unlink(&mut self, place: Place) {
        let &mut Filing { state, before, after, .. } = self.at(place);
        let State::In(bucket) = state else { return };
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

    /// Takes up to [`BATCH`] places out of the first bucket before `present`.
    fn pop(&mut self, present: u64) -> Vec<(u64, Place)> {
        let mut batch = Vec::new();
        let Some((&bucket, &first)) = self.buckets.first_key_value().filter(|(bucket, _)| **bucket < present) else {
            return batch;
        };
        let mut next = first;
        while next != NOWHERE && batch.len() < BATCH {
            let filing = self.at(next);
            filing.state = State::Popped;
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

    /// Files a place again that was popped, unless its owner has left meanwhile.
    fn put_back(&mut self, hash: u64, place: Place, bucket: u64) {
        let filing = self.at(place);
        if filing.state == State::Popped && filing.hash == hash {
            self.link(place, bucket);
        }
    }

    fn at(&mut self, place: Place) -> &mut Filing {
        &mut self.places[place as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the memory tier does: who is dead gives its place back.
    fn popped(wheel: &Wheel, now: u64, lives_until: impl Fn(u64) -> Option<u64>) -> Vec<u64> {
        let mut popped = Vec::new();
        wheel.sweep(now, |hash, place| {
            popped.push(hash);
            let dies_at = lives_until(hash);
            if dies_at.is_none() {
                wheel.forget(hash, place);
            }
            dies_at
        });
        popped.sort_unstable();
        popped
    }

    #[test]
    fn only_what_has_passed_is_popped_and_what_moved_comes_later() {
        let wheel = Wheel::new(10);
        for hash in 0..5_000_u64 {
            wheel.add(hash, 5);
        }
        wheel.add(9_999, 25);
        assert_eq!(popped(&wheel, 9, |_| None), [0_u64; 0], "the bucket has not passed");
        assert_eq!(popped(&wheel, 10, |hash| (hash == 7).then_some(40)).len(), 5_000);
        assert_eq!(wheel.len(), 2);
        assert_eq!(popped(&wheel, 60, |_| None), [7, 9_999]);
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn what_leaves_early_leaves_nothing_behind_and_its_place_is_used_again() {
        let wheel = Wheel::new(10);
        let places: Vec<Place> = (0..10).map(|i| wheel.add(7, 100 + i)).collect();
        // From within the lists, from their ends, and the last of a bucket.
        for i in [3, 0, 9, 5, 1, 2, 4, 8, 7, 6] {
            wheel.forget(7, places[i]);
        }
        assert_eq!(wheel.len(), 0);
        for i in 0..10_000 {
            let place = wheel.add(7, 100 + i);
            assert!(place < 10, "no more places than were needed at once");
            wheel.forget(7, place);
        }
        assert_eq!(popped(&wheel, 1 << 40, |_| None), [0_u64; 0]);
    }

    #[test]
    fn of_two_with_one_hash_each_has_its_own_place() {
        let wheel = Wheel::new(10);
        let (first, second) = (wheel.add(1, 5), wheel.add(1, 6));
        assert_ne!(first, second);
        wheel.forget(1, first);
        assert_eq!(popped(&wheel, 10, |_| None), [1]);
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn a_place_that_is_filed_earlier_is_popped_earlier() {
        let wheel = Wheel::new(10);
        let place = wheel.add(1, 500);
        wheel.add(2, 500);
        wheel.refile(1, place, 5);
        assert_eq!(popped(&wheel, 10, |_| None), [1]);
        assert_eq!(popped(&wheel, 1_000, |_| None), [2]);
    }

    #[test]
    fn who_is_not_found_is_looked_for_again_until_its_place_is_given_back() {
        let wheel = Wheel::new(10);
        let place = wheel.add(1, 5);
        for now in [10, 20, 30] {
            let mut looks = 0;
            wheel.sweep(now, |_, _| {
                looks += 1;
                None
            });
            assert_eq!(looks, 1);
        }
        wheel.forget(1, place);
        assert_eq!(wheel.len(), 0);
        assert_eq!(popped(&wheel, 1_000, |_| None), [0_u64; 0]);
    }

    #[test]
    fn a_place_that_is_given_back_while_it_is_popped_stays_so() {
        let wheel = Wheel::new(10);
        let place = wheel.add(1, 5);
        wheel.sweep(10, |hash, popped| {
            assert_eq!((hash, popped), (1, place));
            wheel.forget(1, place);
            assert_eq!(wheel.add(17, 500), place, "and somebody else has it by now");
            None
        });
        assert_eq!(wheel.len(), 1);
        assert_eq!(popped(&wheel, 499, |_| None), [0_u64; 0], "whose deadline is its own");
        assert_eq!(popped(&wheel, 600, |_| None), [17]);
    }

    #[test]
    fn a_sweep_ends_though_a_deadline_does_not_move_on() {
        let wheel = Wheel::new(10);
        wheel.add(1, 5);
        assert_eq!(popped(&wheel, 10, |_| Some(5)), [1]);
    }
}
