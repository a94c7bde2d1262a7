//! Which expert to follow: each has a small cache of its own, without values, and the best of late is followed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

use super::{Expert, Segments, spread};

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
pub(crate) struct Chooser {
    /// Keys whose spread hash has none of these bits are in the sample.
    mask: u64,
    followed: AtomicU8,
    trial: Mutex<Trial>,
}

struct Trial {
    shadows: [Shadow; Expert::ALL.len()],
    /// What each expert would have hit, the latest weighing most, and the weight of all requests in sight.
    hits: [f64; Expert::ALL.len()],
    requests: f64,
    decay: f64,
    followed: usize,
}

impl Chooser {
    /// For a cache of about `entries` entries.
    pub(crate) fn new(entries: usize) -> Self {
        let fits = |sample: usize, least: usize| entries / sample >= least;
        let mut sample = 1;
        while fits(sample * 2, SHADOW) || (sample < SMALL_SAMPLE && fits(sample * 2, SMALL_SHADOW)) {
            sample *= 2;
        }
        let capacity = (entries / sample).max(1);
        let trial = Trial {
            shadows: Expert::ALL.map(|expert| Shadow::new(capacity, expert)),
            hits: [0.0; Expert::ALL.len()],
            requests: 0.0,
            decay: 0.5_f64.powf(1.0 / (HALF_LIFE * capacity as f64)),
            followed: 0,
        };
        Self { mask: (sample as u64 - 1) << 32, followed: AtomicU8::new(0), trial: Mutex::new(trial) }
    }

    /// The expert to follow now.
    pub(crate) fn followed(&self) -> Expert {
        Expert::ALL[usize::from(self.followed.load(Ordering::Relaxed))]
    }

    /// A key was asked for: it hit, or it missed and was put in. Most keys are not in the sample and cost a
    /// multiplication.
    #[inline]
    pub(crate) fn on_request(&self, hash: u64) {
        if spread(hash, 0x9E37_79B9_7F4A_7C15) & self.mask == 0 {
            self.try_out(hash);
        }
    }

    #[inline(never)]
    fn try_out(&self, hash: u64) {
        // While another thread tries a key out this one is passed over: all experts miss the same keys, so none is
        // wronged, and nobody waits.
        if let Some(mut trial) = self.trial.try_lock() {
            let followed = trial.request(hash);
            self.followed.store(followed as u8, Ordering::Relaxed);
        }
    }
}

impl Trial {
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

/// A cache of hashes.
struct Shadow {
    segments: Segments,
    slots: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    hashes: Vec<u64>,
    /// The slot for the next new key.
    free: u32,
    capacity: usize,
}

impl Shadow {
    fn new(capacity: usize, expert: Expert) -> Self {
        let hashes = Vec::with_capacity(capacity + 1);
        let mut segments = Segments::new(capacity);
        segments.follow(expert);
        Self { segments, slots: HashMap::default(), hashes, free: 0, capacity }
    }

    /// Whether it was a hit.
    fn request(&mut self, hash: u64) -> bool {
        if let Some(&slot) = self.slots.get(&hash) {
            self.segments.on_hit(slot);
            return true;
        }
        match self.hashes.get_mut(self.free as usize) {
            Some(place) => *place = hash,
            None => self.hashes.push(hash),
        }
        self.slots.insert(hash, self.free);
        self.segments.on_insert(self.free, hash);
        self.free = self.hashes.len() as u32;
        if self.slots.len() > self.capacity
            && let Some(victim) = self.segments.choose_victim(|slot| self.hashes[slot as usize])
        {
            self.slots.remove(&self.hashes[victim as usize]);
            self.free = victim;
        }
        false
    }
}

/// Keys of the shadows are hashes already; those of a sample have bits in common, so they are spread once more.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a hash is written as one number")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = spread(hash, 0xC2B2_AE3D_27D4_EB4F).rotate_left(32);
    }
}
