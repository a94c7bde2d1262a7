//! A stream as it is replayed: whole if it is short, otherwise the requests for a share of its keys.
//!
//! The share is found while reading, in one pass and bounded memory: keys are chosen by their hash, and each time there
//! are too many requests to keep, half of the keys go. (Waldspurger, Park, Garthwaite and Ahmad, *Efficient MRC
//! Construction with SHARDS*, FAST 2015.)

use std::collections::{HashMap, HashSet};

use replays::stream::{Keys, StreamError};

/// With fewer keys than this a share of them says little about all.
const FEWEST_KEYS: usize = 1_000;

/// The requests that are replayed.
pub(crate) struct Sample {
    /// One number for each key, counted from 0, in request order.
    pub(crate) requests: Vec<u32>,
    /// How many keys there are among them.
    pub(crate) distinct: usize,
    /// How many requests the stream has.
    pub(crate) of: u64,
    /// The share of keys that were kept.
    pub(crate) rate: f64,
    /// Whether only the beginning was kept, because the stream has too few keys to leave some out.
    pub(crate) beginning: bool,
}

impl Sample {
    /// Reads a stream to its end, keeping no more than `most` requests. `None` if `go_on` said no.
    pub(crate) fn read(
        keys: Keys,
        most: usize,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<Option<Self>, StreamError> {
        let mut kept = Vec::new();
        let (mut of, mut halvings, mut beginning) = (0_u64, 0, false);
        for key in keys {
            let hash = mix(key?);
            of += 1;
            if of % 65_536 == 0 && !go_on(of) {
                return Ok(None);
            }
            let chosen = |hash: u64, halvings: u32| hash.leading_zeros() >= halvings;
            if beginning || !chosen(hash, halvings) {
                continue;
            }
            if kept.len() == most {
                let fewer = kept.iter().filter(|hash| chosen(**hash, halvings + 1)).collect::<HashSet<_>>().len();
                if fewer < FEWEST_KEYS {
                    beginning = true;
                    continue;
                }
                halvings += 1;
                kept.retain(|hash| chosen(*hash, halvings));
                if !chosen(hash, halvings) {
                    continue;
                }
            }
            kept.push(hash);
        }
        if of == 0 {
            return Err(StreamError::Empty);
        }
        let mut numbers = HashMap::new();
        let requests = kept
            .iter()
            .map(|hash| {
                let next = numbers.len() as u32;
                *numbers.entry(*hash).or_insert(next)
            })
            .collect();
        Ok(Some(Self { requests, distinct: numbers.len(), of, rate: 0.5_f64.powi(halvings as i32), beginning }))
    }

    /// How many keys the stream has: counted if it is kept whole, estimated otherwise.
    pub(crate) fn keys(&self) -> u64 {
        (self.distinct as f64 / self.rate).round() as u64
    }

    /// The capacity that stands for `capacity` where only a share of the keys is asked for.
    pub(crate) fn scaled(&self, capacity: u64) -> usize {
        ((capacity as f64 * self.rate).round() as usize).max(1)
    }

    /// The hit ratio of the stream if the sample had so many hits. A share of the keys has more or less than its share of
    /// the requests, mostly because of the few keys that are asked for all the time; these are hits in any cache, so the
    /// difference is counted as hits.
    pub(crate) fn hit_ratio(&self, hits: u64) -> f64 {
        let kept = self.requests.len() as f64;
        let expected = if self.beginning { kept } else { self.of as f64 * self.rate };
        ((hits as f64 + expected - kept) / expected).clamp(0.0, 1.0)
    }
}

/// Makes hashes out of keys that may be small numbers, and never one hash of two keys.
fn mix(key: u64) -> u64 {
    let key = (key ^ (key >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    key ^ (key >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use replays::stream::Source;

    fn read(keys: impl Iterator<Item = u64> + Send + 'static, most: usize) -> Sample {
        Sample::read(Box::new(keys.map(Ok)), most, |_| true).unwrap().unwrap()
    }

    #[test]
    fn a_short_stream_is_kept_whole() {
        let sample = read([7, 9, 7].into_iter(), 100);
        assert_eq!((sample.requests.as_slice(), sample.distinct, sample.of), (&[0, 1, 0][..], 2, 3));
        assert!((sample.hit_ratio(1) - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_long_stream_is_kept_in_bounds_and_its_size_is_known() {
        let source = Source::Zipf { requests: 400_000, products: 100_000, exponent: 0.8 };
        let whole = Sample::read(source.keys().unwrap(), usize::MAX, |_| true).unwrap().unwrap();
        let part = Sample::read(source.keys().unwrap(), 50_000, |_| true).unwrap().unwrap();
        assert!(part.requests.len() <= 50_000 && part.rate < 0.25);
        assert_eq!(part.of, 400_000);
        let off = part.keys() as f64 / whole.keys() as f64;
        assert!((0.95..1.05).contains(&off), "{off}");
    }

    #[test]
    fn of_a_stream_with_few_keys_the_beginning_is_kept() {
        let sample = read((0..100_000).map(|i| i % 2), 1_000);
        assert!(sample.beginning);
        assert_eq!((sample.requests.len(), sample.distinct, sample.of), (1_000, 2, 100_000));
        assert!((sample.hit_ratio(998) - 0.998).abs() < 1e-9);
    }

    #[test]
    fn a_million_requests_are_not_held() {
        let sample = read((0..1_000_000).map(|i| i % 50_000), 50_000);
        assert!(sample.requests.len() <= 50_000);
        assert_eq!(sample.of, 1_000_000);
        let off = sample.keys() as f64 / 50_000.0;
        assert!((0.9..1.1).contains(&off), "{off}");
    }

    #[test]
    fn no_request_is_an_error_and_a_stop_is_not() {
        assert!(matches!(Sample::read(Box::new([].into_iter()), 10, |_| true), Err(StreamError::Empty)));
        let endless = std::iter::repeat_with(|| Ok(7));
        assert!(matches!(Sample::read(Box::new(endless), 10, |_| false), Ok(None)));
    }
}
