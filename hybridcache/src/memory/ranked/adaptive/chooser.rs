//! Which expert to follow: each has a small cache of its own, without values, and the best of late is followed.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashTable;
use parking_lot::Mutex;

use super::expert::Expert;
use super::ghosts::Ghosts;
use super::segments::Segments;
use super::sketch::Sketch;
use super::{serves, spread};

/// Shadows have at least so many entries if the cache has. Fewer would tell the experts apart too slowly.
const SHADOW: usize = 256;
/// Of small caches no more than every fourth key is looked at, so that a hit stays cheap, down to so many entries.
const SMALL_SHADOW: usize = 16;
const SMALL_SAMPLE: usize = 4;
/// What an expert did counts half after so many requests for each entry of a shadow.
const HALF_LIFE: f64 = 20.0;
/// Another expert is followed when it is ahead by so many standard deviations of a count of all requests in sight.
const MARGIN: f64 = 0.5;

/// Chooses for all shards of a cache.
#[derive(Debug)]
pub(in crate::memory::ranked) struct Chooser {
    /// Keys whose spread hash has none of these bits are in the sample.
    mask: AtomicU64,
    followed: AtomicU8,
    /// How many entries all shards have. What a shard has says little of the others where entries differ in weight.
    entries: AtomicUsize,
    /// For how many the shadows were made.
    tried: AtomicUsize,
    /// None before an entry had to leave: until then all experts do the same.
    trial: Mutex<Option<Trial>>,
}

#[derive(Debug)]
struct Trial {
    shadows: [Shadow; Expert::ALL.len()],
    /// What each expert would have hit, the latest weighing most, and the weight of all requests in sight.
    hits: [f64; Expert::ALL.len()],
    requests: f64,
    decay: f64,
    followed: usize,
}

impl Default for Chooser {
    fn default() -> Self {
        Self {
            mask: AtomicU64::new(u64::MAX),
            followed: AtomicU8::new(0),
            entries: AtomicUsize::new(0),
            tried: AtomicUsize::new(0),
            trial: Mutex::new(None),
        }
    }
}

impl Chooser {
    /// A shard has an entry more.
    pub(super) fn came(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    /// A shard has so many entries less.
    pub(super) fn left(&self, entries: usize) {
        self.entries.fetch_sub(entries, Ordering::Relaxed);
    }

    /// Sees to it that the shadows fit the number of entries in the cache.
    #[inline]
    pub(super) fn fit(&self) {
        let entries = self.entries.load(Ordering::Relaxed);
        if !serves(self.tried.load(Ordering::Relaxed), entries) {
            self.resize(entries);
        }
    }

    #[cold]
    fn resize(&self, entries: usize) {
        let mut trial = self.trial.lock();
        if serves(self.tried.load(Ordering::Relaxed), entries) {
            return;
        }
        let fits = |sample: usize, least: usize| entries / sample >= least;
        let mut sample = 1;
        while fits(sample * 2, SHADOW) || (sample < SMALL_SAMPLE && fits(sample * 2, SMALL_SHADOW)) {
            sample *= 2;
        }
        let followed = usize::from(self.followed.load(Ordering::Relaxed));
        *trial = Some(Trial::new((entries / sample).max(1), followed));
        self.mask.store((sample as u64 - 1) << 32, Ordering::Relaxed);
        self.tried.store(entries, Ordering::Relaxed);
    }

    /// The expert to follow now.
    pub(super) fn followed(&self) -> Expert {
        Expert::ALL[usize::from(self.followed.load(Ordering::Relaxed))]
    }

    /// A key was asked for: it hit, or it missed and is put in. Most keys are not in the sample and cost a
    /// multiplication.
    #[inline]
    pub(super) fn on_request(&self, hash: u64) {
        if spread(hash, 0x9E37_79B9_7F4A_7C15) & self.mask.load(Ordering::Relaxed) == 0 {
            self.try_out(hash);
        }
    }

    #[inline(never)]
    fn try_out(&self, hash: u64) {
        // While another thread tries a key out this one is passed over: all experts miss the same keys, so none is
        // wronged, and nobody waits.
        if let Some(mut trial) = self.trial.try_lock()
            && let Some(trial) = &mut *trial
        {
            let followed = trial.request(hash);
            self.followed.store(followed as u8, Ordering::Relaxed);
        }
    }

    /// How many entries all shards have, and for how many the shadows were made.
    #[cfg(test)]
    pub(in crate::memory::ranked) fn counts(&self) -> (usize, usize) {
        (self.entries.load(Ordering::Relaxed), self.tried.load(Ordering::Relaxed))
    }
}

impl Trial {
    /// Shadows of so many entries.
    fn new(capacity: usize, followed: usize) -> Self {
        Self {
            shadows: Expert::ALL.map(|expert| Shadow::new(capacity, expert)),
            hits: [0.0; Expert::ALL.len()],
            requests: 0.0,
            decay: 0.5_f64.powf(1.0 / (HALF_LIFE * capacity as f64)),
            followed,
        }
    }

    /// Returns the expert to follow.
    fn request(&mut self, hash: u64) -> usize {
        self.requests = self.requests * self.decay + 1.0;
        for (hits, shadow) in self.hits.iter_mut().zip(&mut self.shadows) {
            *hits = *hits * self.decay + f64::from(u8::from(shadow.request(hash)));
        }
        let ahead = |expert: usize| self.hits[expert] - self.hits[self.followed];
        let best = (0..Expert::ALL.len()).max_by(|a, b| self.hits[*a].total_cmp(&self.hits[*b])).unwrap_or(0);
        if ahead(best) > MARGIN * self.requests.sqrt() {
            self.followed = best;
        }
        self.followed
    }
}

/// A cache of hashes. Hits fill it, which allocate nothing: it has all its memory from the start.
#[derive(Debug)]
struct Shadow {
    segments: Segments,
    slots: HashTable<u32>,
    hashes: Vec<u64>,
    /// From when on the first has to leave.
    tables: Option<(Sketch, Ghosts)>,
    capacity: usize,
}

impl Shadow {
    fn new(capacity: usize, expert: Expert) -> Self {
        Self {
            segments: Segments::with_capacity(capacity, expert),
            // A table that is at most half full never grows for the traces of those that left, but cleans up where it is.
            slots: HashTable::with_capacity(2 * capacity),
            hashes: Vec::with_capacity(capacity),
            tables: Some((Sketch::new(capacity, 0), Ghosts::new(capacity))),
            capacity,
        }
    }

    /// Whether it was a hit.
    fn request(&mut self, hash: u64) -> bool {
        let Self { segments, slots, hashes, tables, capacity } = self;
        if let Some(&slot) = slots.find(place(hash), |&slot| hashes[slot as usize] == hash) {
            segments.hit(slot);
            return true;
        }
        segments.expect(hash);
        let slot = if hashes.len() < *capacity {
            hashes.push(hash);
            hashes.len() as u32 - 1
        } else {
            if let Some((sketch, ghosts)) = tables.take() {
                segments.equip(sketch, ghosts);
            }
            let victim = segments.victim(&|slot| hashes[slot as usize]);
            segments.remove(victim);
            let left = std::mem::replace(&mut hashes[victim as usize], hash);
            slots.find_entry(place(left), |&slot| slot == victim).expect("every slot is found").remove();
            victim
        };
        slots.insert_unique(place(hash), slot, |&slot| place(hashes[slot as usize]));
        segments.insert(slot, hash);
        false
    }
}

/// Where a shadow has a hash: those of a sample have bits in common, so they are spread once more.
fn place(hash: u64) -> u64 {
    spread(hash, 0xC2B2_AE3D_27D4_EB4F).rotate_left(32)
}
