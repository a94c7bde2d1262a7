//! The lists of a shard, and who leaves.

use super::expert::Expert;
use super::ghosts::Ghosts;
use super::serves;
use super::sketch::{MOST, Sketch};
use crate::memory::ranked::lists::Lists;
use crate::memory::ranked::pages::give_back;

/// Which list an entry is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    /// New entries, which nobody has asked for again since they came.
    Window,
    /// The main part, those that leave next.
    Probation,
    /// The main part, those that have proved themselves.
    Protected,
}

/// What is known of the entry in a slot.
#[derive(Clone, Copy, Debug)]
struct Mark {
    segment: Segment,
    /// How often it was asked for since it came into its segment, or since it was last given another round there: at most
    /// [`CHANCES`].
    hits: u8,
    /// How often it was asked for lately, and the era in which that was right.
    count: u8,
    era: u8,
    /// When it was last moved: see [`Segments::tick`].
    moved: u8,
}

/// In the time in which so many parts of the entries are replaced, a hit moves an entry once: where it stands in its list
/// is right to that part, and most hits of what is popular only count.
const TICKS: usize = 16;

/// So many rounds more than one an entry gets at most, as in S3-FIFO.
const CHANCES: u8 = 3;
/// And of no more entries is this found out at once: somebody waits.
const PASSED_OVER: usize = 8;

/// Orders the slots of one shard by how much they are worth keeping, as the [`Expert`] it follows sees it.
///
/// Each operation is O(1), but for the halving of the sketch, which is O(1) on average. Frequencies of entries are kept
/// with their marks, where a hit has to write anyway; the sketch has those of keys that left. Sketch and ghosts are made
/// when the first entry has to leave, for as many entries as there are then.
#[derive(Debug)]
pub(super) struct Segments {
    expert: Expert,
    lists: Lists,
    lens: [usize; 3],
    marks: Vec<Mark>,
    /// Where the entry goes that is about to come.
    coming: Option<Segment>,
    /// Goes on with the inserts, and round after 256: `TICKS` in the time in which as many come as there are.
    tick: u8,
    /// How many inserts are left of this tick.
    left: usize,
    /// How many entries may be in the window and how many may be protected, as of the last insert.
    window: usize,
    protected: usize,
    /// For how many entries the sketch and the ghosts were made.
    tables: usize,
    sketch: Sketch,
    ghosts: Ghosts,
}

impl Default for Segments {
    fn default() -> Self {
        Self {
            expert: Expert::Twice,
            lists: Lists::new(3),
            lens: [0; 3],
            marks: Vec::new(),
            coming: None,
            tick: 0,
            left: 1,
            window: 0,
            protected: 0,
            tables: 0,
            sketch: Sketch::new(0, 0),
            ghosts: Ghosts::new(0),
        }
    }
}

impl Segments {
    /// For at most so many entries: it asks for no memory later, but for the tables.
    pub(super) fn with_capacity(entries: usize, expert: Expert) -> Self {
        let mut segments = Self { expert, marks: Vec::with_capacity(entries), ..Self::default() };
        segments.lists.reserve(entries);
        segments
    }

    /// From here on decides as `expert` does. The lists take its shape little by little, with each insert.
    pub(super) fn follow(&mut self, expert: Expert) {
        self.expert = expert;
    }

    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Sees to it that the tables fit the number of entries.
    pub(super) fn fit(&mut self) {
        if !serves(self.tables, self.len()) {
            self.equip(Sketch::new(self.len(), self.sketch.era()), Ghosts::new(self.len()));
        }
    }

    /// Goes on with tables that were made for as many entries as there are.
    pub(super) fn equip(&mut self, sketch: Sketch, ghosts: Ghosts) {
        self.tables = self.len();
        self.sketch = sketch;
        self.ghosts = ghosts;
    }

    /// Somebody asked for the entry and got it.
    pub(super) fn hit(&mut self, slot: u32) {
        let era = self.sketch.request();
        let mark = &mut self.marks[slot as usize];
        mark.count = (mark.aged(era) + 1).min(MOST);
        mark.era = era;
        let from = mark.segment;
        mark.hits = (mark.hits + 1).min(CHANCES);
        let to = match (self.expert, from) {
            (Expert::Recency, _) | (_, Segment::Window) => Segment::Window,
            _ => Segment::Protected,
        };
        // Before anybody has to leave it matters little who is where.
        let due = mark.moved != self.tick && !(from == to && self.expert.gives_chances());
        if due || (from != to && self.tables != 0) {
            self.move_to(slot, to);
            self.demote();
        }
    }

    /// A new entry is about to come: decides where it goes, and lets the lists take shape.
    pub(super) fn expect(&mut self, hash: u64) {
        let before = self.len();
        self.left -= 1;
        if self.left == 0 {
            self.left = before.div_ceil(TICKS).max(1);
            self.tick = self.tick.wrapping_add(1);
        }
        self.sketch.request();
        let returned = self.ghosts.take(hash, self.expert.memory(before));
        self.coming = Some(if returned { Segment::Protected } else { Segment::Window });
        self.window = self.expert.window(before + 1);
        self.protected = self.expert.protected(before + 1);
        // One above what the window may hold is left: it has to stand the comparison if somebody must leave. Two steps
        // at a time let the lists take the shape of another expert without a pause.
        for _ in 0..2 {
            if self.expected(Segment::Window) > self.window + 1
                && let Some(oldest) = self.oldest(Segment::Window)
            {
                self.admit(oldest);
            }
            self.demote();
        }
    }

    /// The entry that was expected is in `slot`.
    pub(super) fn insert(&mut self, slot: u32, hash: u64) {
        let segment = self.coming.take().expect("it was expected");
        self.push(slot, segment);
        let count = (self.sketch.count(hash) + 1).min(MOST);
        let mark = Mark { segment, hits: 0, count, era: self.sketch.era(), moved: self.tick };
        match self.marks.get_mut(slot as usize) {
            Some(old) => *old = mark,
            None => self.marks.push(mark),
        }
    }

    /// The entry that is worth least, with the one counted that is about to come.
    pub(super) fn victim(&mut self, hash_of: &dyn Fn(u32) -> u64) -> u32 {
        let candidate = self.oldest(Segment::Window);
        let incumbent = self.oldest(Segment::Probation).or_else(|| self.least_protected());
        let victim = match (candidate, incumbent) {
            (Some(candidate), Some(incumbent)) if self.expected(Segment::Window) > self.window => {
                if self.outlasts(candidate, incumbent) {
                    self.admit(candidate);
                    incumbent
                } else {
                    candidate
                }
            }
            (candidate, incumbent) => incumbent.or(candidate).expect("there is an entry"),
        };
        let hash = hash_of(victim);
        self.ghosts.add(hash);
        self.sketch.raise(hash, self.count(victim));
        victim
    }

    /// The entry in `slot` leaves.
    pub(super) fn remove(&mut self, slot: u32) {
        self.lens[self.marks[slot as usize].segment as usize] -= 1;
        self.lists.unlink(slot);
    }

    pub(super) fn swap_remove(&mut self, slot: u32) {
        self.lists.swap_remove(slot);
        self.marks.swap_remove(slot as usize);
        give_back(&mut self.marks);
    }

    /// Whether the oldest of the window may stay in the place of one of the main part.
    fn outlasts(&self, candidate: u32, incumbent: u32) -> bool {
        match self.expert {
            Expert::Twice | Expert::Recency => true,
            Expert::Return => self.marks[candidate as usize].hits > 0,
            Expert::Frequency | Expert::Popularity => self.count(candidate) > self.count(incumbent),
        }
    }

    fn count(&self, slot: u32) -> u8 {
        self.marks[slot as usize].aged(self.sketch.era())
    }

    fn oldest(&self, segment: Segment) -> Option<u32> {
        self.lists.back(segment as u32)
    }

    /// How many a segment has, with the one that is about to come.
    fn expected(&self, segment: Segment) -> usize {
        self.lens[segment as usize] + usize::from(self.coming == Some(segment))
    }

    /// From the window to the main part.
    fn admit(&mut self, slot: u32) {
        if self.expert == Expert::Return && self.marks[slot as usize].hits > 0 {
            self.move_to(slot, Segment::Protected);
            self.demote();
        } else {
            self.move_to(slot, Segment::Probation);
        }
    }

    /// One that is protected makes room for another.
    fn demote(&mut self) {
        if self.expected(Segment::Protected) > self.protected
            && let Some(least) = self.least_protected()
        {
            self.move_to(least, Segment::Probation);
        }
    }

    /// The protected entry that was not asked for in the longest time; where chances are given, the first that has none left.
    fn least_protected(&mut self) -> Option<u32> {
        for _ in 0..PASSED_OVER {
            let oldest = self.oldest(Segment::Protected)?;
            let hits = self.marks[oldest as usize].hits;
            if hits == 0 || !self.expert.gives_chances() {
                break;
            }
            self.move_to(oldest, Segment::Protected);
            self.marks[oldest as usize].hits = hits - 1;
        }
        self.oldest(Segment::Protected)
    }

    fn move_to(&mut self, slot: u32, segment: Segment) {
        self.remove(slot);
        self.push(slot, segment);
        let mark = &mut self.marks[slot as usize];
        if mark.segment != segment {
            mark.segment = segment;
            mark.hits = 0;
        }
        mark.moved = self.tick;
    }

    /// To the newest end of a list.
    fn push(&mut self, slot: u32, segment: Segment) {
        self.lists.push_front(segment as u32, slot);
        self.lens[segment as usize] += 1;
    }

    #[cfg(test)]
    pub(super) fn validate(&self, len: usize) {
        self.lists.validate(len);
        assert_eq!(self.marks.len(), len);
        for segment in [Segment::Window, Segment::Probation, Segment::Protected] {
            let slots = self.lists.slots(segment as u32);
            assert_eq!(slots.len(), self.lens[segment as usize]);
            assert!(slots.into_iter().all(|slot| self.marks[slot as usize].segment == segment));
        }
    }
}

impl Mark {
    /// The count, halved once for each era that has passed.
    fn aged(&self, now: u8) -> u8 {
        self.count.checked_shr(u32::from(now.wrapping_sub(self.era))).unwrap_or(0)
    }
}
