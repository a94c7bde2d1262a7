//! The lists of a shard, and who leaves.

use std::mem;

use super::Expert;
use super::ghosts::Ghosts;
use super::sketch::{MOST, Sketch};

const NONE: u32 = u32::MAX;

/// Which list an entry is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    /// New entries, which nobody has asked for again since they came.
    Window,
    /// The main part, those that leave next.
    Probation,
    /// The main part, those that have proved themselves.
    Protected,
    /// None: the slot is free.
    Free,
}

/// How a slot hangs in its list.
#[derive(Clone, Copy, Debug)]
struct Link {
    newer: u32,
    older: u32,
    segment: Segment,
    /// Asked for while it was in the window.
    seen: bool,
    /// How often it was asked for lately, and the era in which that was right.
    count: u8,
    era: u8,
}

const FREE: Link = Link { newer: NONE, older: NONE, segment: Segment::Free, seen: false, count: 0, era: 0 };

#[derive(Clone, Copy, Debug)]
struct List {
    newest: u32,
    oldest: u32,
    len: usize,
}

/// Orders the slots of one shard by how much they are worth keeping, as the [`Expert`] it follows sees it.
///
/// A slot is whatever number below `u32::MAX` the store gives to an entry. Each operation is O(1), but for the halving of
/// the sketch, which is O(1) on average; on top of 12 bytes a slot it has 10 bytes an entry. Frequencies of entries are
/// kept with their links, where a hit has to write anyway; the sketch has those of keys that left.
pub(crate) struct Segments {
    expert: Expert,
    links: Vec<Link>,
    lists: [List; 3],
    /// How many entries may be in the window and how many may be protected, as of the last insert.
    window: usize,
    protected: usize,
    sketch: Sketch,
    ghosts: Ghosts,
}

impl Segments {
    /// For about `entries` entries: more are welcome, but remembered less well.
    pub(crate) fn new(entries: usize) -> Self {
        let list = List { newest: NONE, oldest: NONE, len: 0 };
        Self {
            expert: Expert::Twice,
            links: Vec::new(),
            lists: [list; 3],
            window: 0,
            protected: 0,
            sketch: Sketch::new(entries),
            ghosts: Ghosts::new(entries),
        }
    }

    /// From here on decides as `expert` does. The lists take its shape little by little, with each insert.
    pub(crate) fn follow(&mut self, expert: Expert) {
        self.expert = expert;
    }

    pub(crate) fn len(&self) -> usize {
        self.lists.iter().map(|list| list.len).sum()
    }

    /// Somebody asked for the entry and got it.
    pub(crate) fn on_hit(&mut self, slot: u32) {
        let era = self.sketch.request();
        let link = &mut self.links[slot as usize];
        link.count = (link.aged(era) + 1).min(MOST);
        link.era = era;
        link.seen |= link.segment == Segment::Window;
        let to = match (self.expert, link.segment) {
            (_, Segment::Free) => return,
            (Expert::Recency, _) | (_, Segment::Window) => Segment::Window,
            _ => Segment::Protected,
        };
        if link.newer != NONE || link.segment != to {
            self.move_to(slot, to);
            self.demote();
        }
    }

    /// A new entry is in `slot`. If there are too many now, [`choose_victim`](Self::choose_victim) says who leaves; the
    /// new one stays.
    pub(crate) fn on_insert(&mut self, slot: u32, hash: u64) {
        if self.links.len() <= slot as usize {
            self.links.resize(slot as usize + 1, FREE);
        }
        let before = self.len();
        let returned = self.ghosts.take(hash, self.expert.memory(before));
        self.push(slot, if returned { Segment::Protected } else { Segment::Window });
        let era = self.sketch.request();
        let link = &mut self.links[slot as usize];
        link.count = (self.sketch.count(hash) + 1).min(MOST);
        link.era = era;

        self.window = self.expert.window(before + 1);
        self.protected = self.expert.protected(before + 1);
        // One above what the window may hold is left: it has to stand the comparison if somebody must leave. Two steps
        // at a time let the lists take the shape of another expert without a pause.
        for _ in 0..2 {
            if self.list(Segment::Window).len > self.window + 1 {
                self.admit(self.list(Segment::Window).oldest);
            }
            self.demote();
        }
    }

    /// Takes out the entry that is worth least. `hash_of` tells the hash of a slot. `None` if there are no entries.
    pub(crate) fn choose_victim(&mut self, hash_of: impl Fn(u32) -> u64) -> Option<u32> {
        let oldest = |segment| Some(self.list(segment).oldest).filter(|&slot| slot != NONE);
        let candidate = oldest(Segment::Window);
        let incumbent = oldest(Segment::Probation).or_else(|| oldest(Segment::Protected));
        let victim = match (candidate, incumbent) {
            (Some(candidate), Some(incumbent)) if self.list(Segment::Window).len > self.window => {
                if self.outlasts(candidate, incumbent) {
                    self.admit(candidate);
                    incumbent
                } else {
                    candidate
                }
            }
            (candidate, incumbent) => incumbent.or(candidate)?,
        };
        let hash = hash_of(victim);
        self.ghosts.add(hash);
        self.sketch.raise(hash, self.count(victim));
        self.remove(victim);
        Some(victim)
    }

    /// Whether the oldest of the window may stay in the place of one of the main part.
    fn outlasts(&self, candidate: u32, incumbent: u32) -> bool {
        match self.expert {
            Expert::Twice | Expert::Recency => true,
            Expert::Return => self.links[candidate as usize].seen,
            Expert::Frequency => self.count(candidate) > self.count(incumbent),
        }
    }

    fn count(&self, slot: u32) -> u8 {
        self.links[slot as usize].aged(self.sketch.era())
    }

    fn list(&self, segment: Segment) -> List {
        self.lists[segment as usize]
    }

    /// The entry in `slot` has left by itself: evicted by a caller or expired.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Link { newer, older, segment, .. } = self.links[slot as usize];
        if segment == Segment::Free {
            return;
        }
        let list = &mut self.lists[segment as usize];
        list.len -= 1;
        match newer {
            NONE => list.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        match older {
            NONE => list.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        self.links[slot as usize] = FREE;
    }

    /// From the window to the main part.
    fn admit(&mut self, slot: u32) {
        if self.expert == Expert::Return && self.links[slot as usize].seen {
            self.move_to(slot, Segment::Protected);
            self.demote();
        } else {
            self.move_to(slot, Segment::Probation);
        }
    }

    /// One that is protected and was not asked for in the longest time makes room for another.
    fn demote(&mut self) {
        let List { len, oldest, .. } = self.list(Segment::Protected);
        if len > self.protected {
            self.move_to(oldest, Segment::Probation);
        }
    }

    fn move_to(&mut self, slot: u32, segment: Segment) {
        let link = self.links[slot as usize];
        self.remove(slot);
        self.push(slot, segment);
        let moved = &mut self.links[slot as usize];
        (moved.count, moved.era) = (link.count, link.era);
        moved.seen = link.seen && segment == Segment::Window;
    }

    /// To the newest end of a list.
    fn push(&mut self, slot: u32, segment: Segment) {
        let list = &mut self.lists[segment as usize];
        let older = mem::replace(&mut list.newest, slot);
        list.len += 1;
        match older {
            NONE => list.oldest = slot,
            older => self.links[older as usize].newer = slot,
        }
        self.links[slot as usize] = Link { older, segment, ..FREE };
    }
}

impl Link {
    /// The count, halved once for each era that has passed.
    fn aged(&self, now: u8) -> u8 {
        self.count.checked_shr(u32::from(now.wrapping_sub(self.era))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks all lists both ways; returns the slots in them.
    fn held(segments: &Segments) -> Vec<u32> {
        let mut slots = Vec::new();
        for list in &segments.lists {
            let (mut len, mut newer, mut slot) = (0, NONE, list.newest);
            while slot != NONE {
                let link = segments.links[slot as usize];
                assert_eq!(link.newer, newer);
                slots.push(slot);
                (len, newer, slot) = (len + 1, slot, link.older);
            }
            assert_eq!((list.oldest, list.len), (newer, len));
        }
        slots.sort_unstable();
        slots
    }

    #[test]
    fn the_lists_hold_what_was_put_in_and_did_not_leave() {
        let mut segments = Segments::new(50);
        let (mut expected, mut random) = (std::collections::BTreeSet::new(), 7_u64);
        for step in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let slot = (random >> 40) as u32 % 64;
            if step % 500 == 0 {
                segments.follow(Expert::ALL[(random >> 33) as usize % 4]);
            }
            match (expected.contains(&slot), random >> 60) {
                (true, 0) => {
                    segments.remove(slot);
                    expected.remove(&slot);
                }
                (true, _) => segments.on_hit(slot),
                (false, _) => {
                    segments.on_insert(slot, u64::from(slot) << 32 | 9);
                    expected.insert(slot);
                    if expected.len() > 50 {
                        let victim = segments.choose_victim(|slot| u64::from(slot) << 32 | 9).unwrap();
                        assert_ne!(victim, slot, "the new one stays");
                        assert!(expected.remove(&victim));
                    }
                }
            }
            assert_eq!(segments.len(), expected.len());
            if step % 100 == 0 {
                assert_eq!(held(&segments), expected.iter().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn an_empty_one_has_no_victim_and_a_single_entry_is_it() {
        let mut segments = Segments::new(1);
        assert_eq!(segments.choose_victim(|_| 0), None);
        segments.on_insert(3, 9);
        assert_eq!(segments.choose_victim(|_| 9), Some(3));
        segments.remove(3);
        assert_eq!(segments.len(), 0);
    }

    #[test]
    fn a_new_expert_gets_its_shape_with_the_inserts() {
        let mut segments = Segments::new(100);
        segments.follow(Expert::Recency);
        (0..100).for_each(|slot| segments.on_insert(slot, u64::from(slot) << 32));
        assert_eq!(segments.lists.map(|list| list.len), [100, 0, 0]);
        segments.follow(Expert::Twice);
        for new in 0..100_u64 {
            let slot = segments.choose_victim(|slot| u64::from(slot) << 32).unwrap();
            segments.on_insert(slot, new << 40 | 7);
        }
        assert!(segments.lists[0].len <= 2, "{:?}", segments.lists);
    }
}
