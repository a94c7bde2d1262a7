//! `lru`, `mru` and `fifo`: everybody in one line.

use super::hits::Hits;
use super::lists::Lists;
use super::order::Order;

const LINE: u32 = 0;

/// A line in which whoever comes stands in front.
#[derive(Debug)]
pub(super) struct Line {
    list: Lists,
    /// Whoever is hit comes to the front, or nothing happens.
    hits: Option<Hits>,
    /// Who leaves.
    leaves: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Front,
    Back,
}

impl Line {
    /// The least recently used leaves (Mattson, Gecsei, Slutz, Traiger: *Evaluation techniques for storage hierarchies*,
    /// IBM Systems Journal 9(2), 1970).
    pub(super) fn lru() -> Self {
        Self { list: Lists::new(1), hits: Some(Hits::default()), leaves: End::Back }
    }

    /// The most recently used leaves (Chou, DeWitt: *An evaluation of buffer management strategies for relational
    /// database systems*, VLDB 1985). The newcomer is not in line yet when somebody has to leave for it, so it is
    /// kept, and the place of the last one goes round.
    pub(super) fn mru() -> Self {
        Self { leaves: End::Front, ..Self::lru() }
    }

    /// Whoever has been there longest leaves.
    pub(super) fn fifo() -> Self {
        Self { hits: None, ..Self::lru() }
    }
}

impl Order for Line {
    fn anew(&self) -> Box<dyn Order> {
        Box::new(Self { list: Lists::new(1), hits: self.hits.as_ref().map(|_| Hits::default()), leaves: self.leaves })
    }

    #[inline]
    fn hit(&self, slot: u32, _hash: u64) -> bool {
        self.hits.as_ref().is_some_and(|hits| hits.note(slot))
    }

    fn settle(&mut self) {
        let Self { list, hits, .. } = self;
        if let Some(hits) = hits {
            hits.drain(|slot| {
                list.unlink(slot);
                list.push_front(LINE, slot);
            });
        }
    }

    fn insert(&mut self, slot: u32, _hash: u64) {
        self.list.push_front(LINE, slot);
    }

    fn victim(&mut self, _hash_of: &dyn Fn(u32) -> u64) -> u32 {
        let victim = match self.leaves {
            End::Front => self.list.front(LINE),
            End::Back => self.list.back(LINE),
        };
        victim.expect("there is an entry")
    }

    fn remove(&mut self, slot: u32) {
        self.list.unlink(slot);
    }

    fn swap_remove(&mut self, slot: u32) {
        self.list.swap_remove(slot);
    }

    #[cfg(test)]
    fn validate(&self, len: usize) {
        self.list.validate(len);
    }
}
