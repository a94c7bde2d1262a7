//! `lfu`: who is used least leaves, and fame fades.

use super::hits::Hits;
use super::lists::Lists;
use super::order::Order;
use super::pages::give_back;

/// How many levels there are: as many as a mask of them has bits.
const LEVELS: u32 = 64;

/// Uses beyond this are not counted. The most used stands this far above the age: less than once round the ring.
const MOST_USES: u8 = LEVELS as u8 - 1;

/// LFU with dynamic ageing, LFU-DA (Arlitt, Cherkasova, Dilley, Friedrich, Jin: *Evaluating content management techniques
/// for web proxy caches*, ACM SIGMETRICS Performance Evaluation Review 27(4), 2000).
///
/// An entry's level is the number of its uses plus the age of the shard when it was last used; the lowest level leaves,
/// of those the least recently used; and the age is the level of the last that left. So newcomers start higher and
/// higher, and an old favourite that nobody uses any more is overtaken. Levels are lists, as in Shah, Mitra, Matani (*An
/// O(1) algorithm for implementing the LFU cache eviction scheme*, 2010): here a ring of them, which the age goes
/// round.
#[derive(Debug, Default)]
pub(super) struct Frequency {
    ring: Ring,
    hits: Hits,
}

#[derive(Debug)]
struct Ring {
    levels: Lists,
    /// Of each slot.
    ranks: Vec<Rank>,
    /// Which levels have somebody: bit by bit.
    occupied: u64,
    /// Where on the ring the age is. Nobody stands below it.
    age: u32,
}

#[derive(Clone, Copy, Debug)]
struct Rank {
    uses: u8,
    /// Where on the ring.
    level: u8,
}

impl Default for Ring {
    fn default() -> Self {
        Self { levels: Lists::new(LEVELS), ranks: Vec::new(), occupied: 0, age: 0 }
    }
}

impl Ring {
    /// Puts a slot where so many uses belong at this age.
    fn rank(&mut self, slot: u32, uses: u8) {
        let level = (self.age + u32::from(uses)) % LEVELS;
        self.levels.push_front(level, slot);
        self.occupied |= 1 << level;
        let rank = Rank { uses, level: level as u8 };
        match self.ranks.get_mut(slot as usize) {
            Some(old) => *old = rank,
            None => self.ranks.push(rank),
        }
    }

    fn remove(&mut self, slot: u32) {
        self.levels.unlink(slot);
        let level = u32::from(self.ranks[slot as usize].level);
        if self.levels.back(level).is_none() {
            self.occupied &= !(1 << level);
        }
    }
}

impl Order for Frequency {
    fn anew(&self) -> Box<dyn Order> {
        Box::<Self>::default()
    }

    #[inline]
    fn hit(&self, slot: u32, _hash: u64) -> bool {
        self.hits.note(slot)
    }

    fn settle(&mut self) {
        let Self { ring, hits } = self;
        hits.drain(|slot| {
            let uses = ring.ranks[slot as usize].uses.saturating_add(1).min(MOST_USES);
            ring.remove(slot);
            ring.rank(slot, uses);
        });
    }

    fn insert(&mut self, slot: u32, _hash: u64) {
        self.ring.rank(slot, 1);
    }

    fn victim(&mut self, _hash_of: &dyn Fn(u32) -> u64) -> u32 {
        let Ring { levels, occupied, age, .. } = &mut self.ring;
        *age = (*age + occupied.rotate_right(*age).trailing_zeros()) % LEVELS;
        levels.back(*age).expect("there is an entry, and the mask knows where")
    }

    fn remove(&mut self, slot: u32) {
        self.ring.remove(slot);
    }

    fn swap_remove(&mut self, slot: u32) {
        self.ring.levels.swap_remove(slot);
        self.ring.ranks.swap_remove(slot as usize);
        give_back(&mut self.ring.ranks);
    }

    #[cfg(test)]
    fn validate(&self, len: usize) {
        let Ring { levels, ranks, occupied, .. } = &self.ring;
        levels.validate(len);
        assert_eq!(ranks.len(), len);
        for level in 0..LEVELS {
            let slots = levels.slots(level);
            assert_eq!(occupied & (1 << level) != 0, !slots.is_empty(), "the mask knows who is there");
            assert!(slots.into_iter().all(|slot| u32::from(ranks[slot as usize].level) == level));
        }
    }
}
