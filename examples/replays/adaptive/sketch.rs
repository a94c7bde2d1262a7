//! How often keys that left were asked for: a count-min sketch with ageing.

use super::{below, spread};

/// Eight words are a cache line, which is all that a key touches.
const LINE: usize = 8;
/// The largest count, in four bits.
pub(super) const MOST: u8 = 15;
/// An era has so many requests for each entry. At its end all counts are halved.
const ERA: usize = 20;

/// Four bytes for each entry. A count is never too low, and too high only where four other keys agree.
pub(super) struct Sketch {
    lines: Vec<[u64; LINE]>,
    /// Requests that are left of this era, and how many it has.
    left: usize,
    length: usize,
    era: u8,
}

impl Sketch {
    pub(super) fn new(entries: usize) -> Self {
        // Eight counters for each entry, 128 of them in a line.
        let lines = entries.div_ceil(128 / 8).max(1);
        let length = entries.max(1) * ERA;
        Self { lines: vec![[0; LINE]; lines], left: length, length, era: 0 }
    }

    /// The number of the era, which comes round again after 256.
    pub(super) fn era(&self) -> u8 {
        self.era
    }

    /// Time passes with each request. Returns the era.
    pub(super) fn request(&mut self) -> u8 {
        self.left -= 1;
        if self.left == 0 {
            self.halve();
        }
        self.era
    }

    #[cold]
    fn halve(&mut self) {
        self.left = self.length;
        self.era = self.era.wrapping_add(1);
        for word in self.lines.iter_mut().flatten() {
            *word = *word >> 1 & 0x7777_7777_7777_7777;
        }
    }

    pub(super) fn count(&self, hash: u64) -> u8 {
        let (line, places) = self.places(hash);
        let line = &self.lines[line];
        places.map(|(word, shift)| (line[word] >> shift) as u8 & MOST).into_iter().min().unwrap_or(0)
    }

    /// Makes the count of a key at least `count`.
    pub(super) fn raise(&mut self, hash: u64, count: u8) {
        let (line, places) = self.places(hash);
        for (word, shift) in places {
            let word = &mut self.lines[line][word];
            let old = *word >> shift & u64::from(MOST);
            *word += u64::from(count).saturating_sub(old) << shift;
        }
    }

    /// The line of a key, and its four counters there: word and shift. Each has a quarter of the line to itself.
    fn places(&self, hash: u64) -> (usize, [(usize, u32); 4]) {
        let spread = spread(hash, 0xD6E8_FEB8_6659_FD93);
        let bits = (spread >> 8) as u32;
        let place = |row: usize| {
            let bits = bits >> (5 * row);
            (2 * row + (bits & 1) as usize, (bits >> 1 & 15) * 4)
        };
        (below(self.lines.len(), spread), [place(0), place(1), place(2), place(3)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u64) -> u64 {
        spread(key, 0x9E37_79B9_7F4A_7C15).rotate_left(32)
    }

    #[test]
    fn counts_are_never_too_low_and_seldom_too_high() {
        let mut sketch = Sketch::new(100);
        let count = |key: u64| (key % 16) as u8;
        (0..100).for_each(|key| sketch.raise(hash(key), count(key)));
        assert!((0..100).all(|key| sketch.count(hash(key)) >= count(key)));
        let high = (0..100).filter(|key| sketch.count(hash(*key)) > count(*key)).count();
        assert!(high < 10, "{high}");
    }

    #[test]
    fn raising_never_lowers() {
        let mut sketch = Sketch::new(10);
        sketch.raise(7, 9);
        sketch.raise(7, 4);
        assert_eq!(sketch.count(7), 9);
    }

    #[test]
    fn counts_halve_with_each_era() {
        let mut sketch = Sketch::new(10);
        sketch.raise(7, 15);
        assert!((1..10 * ERA).all(|_| sketch.request() == 0));
        assert_eq!((sketch.request(), sketch.count(7)), (1, 7));
    }
}
