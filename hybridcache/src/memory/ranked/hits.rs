//! Hits that the order has not been told of yet.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many hits are noted at most before the order is told.
const MOST: usize = 64;

/// The slots that were hit since the shard was last written to, in the order of their hits.
///
/// A hit holds the shard's read lock only: it notes its slot here and changes nothing else. Whoever writes to the shard
/// next tells the order first; if the notes fill up before, a hitter does, if it gets the write lock without waiting. So
/// hits wait for no other hits, and the order is exact for one thread. Where hits race, some notes are lost, as in the
/// buffers of Caffeine and moka: what is hit that often is noted soon again.
#[derive(Debug)]
pub(super) struct Hits {
    count: AtomicU32,
    slots: [AtomicU32; MOST],
}

impl Default for Hits {
    fn default() -> Self {
        Self { count: AtomicU32::new(0), slots: [const { AtomicU32::new(0) }; MOST] }
    }
}

impl Hits {
    /// Notes a hit, under the shard's read lock; returns whether it is time to tell the order.
    ///
    /// No `fetch_add`, which would cost a fifth of the hit: of two threads that read the same count, one overwrites the
    /// other's note; one that reads it, sleeps, and stores it late takes the notes in between back. No slot in
    /// the notes can have been removed meanwhile, because all of this happens under the read lock, and whoever
    /// removes one empties them before.
    #[inline]
    pub(super) fn note(&self, slot: u32) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        let Some(place) = self.slots.get(count as usize) else { return true };
        place.store(slot, Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        count as usize + 1 == MOST
    }

    /// Hands out the notes, under the shard's write lock.
    pub(super) fn drain(&mut self, mut tell: impl FnMut(u32)) {
        let count = std::mem::take(self.count.get_mut()) as usize;
        self.slots[..count].iter_mut().for_each(|slot| tell(*slot.get_mut()));
    }
}
