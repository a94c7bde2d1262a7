//! Misses that come in a row: then a read that may go on as a miss looks only there.

use std::hash::Hash;
use std::mem::needs_drop;
use std::sync::atomic::Ordering;

use super::{COLD, Inner};
use crate::observe::Tally;

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Counts a miss. After many in a row another is likely, for which the first look is in vain: with its lock and its clock it is a
    /// ninth of a miss (record 22). A hit that comes all the same finds its key made for a miss, so that must allocate nothing.
    pub(super) fn count_miss(&self, tally: Tally<'_>) {
        if tally.miss() && !(self.rules.cache_err || self.is_elsewhere() || needs_drop::<K>()) {
            self.watched.fetch_or(COLD, Ordering::Relaxed);
        }
    }

    /// Counts a hit on the way of a miss, where none was expected or another load was quicker.
    pub(super) fn count_late_hit(&self) {
        self.meter.hit();
        self.expect_hits();
    }

    /// Each read looks first from here on.
    pub(super) fn expect_hits(&self) {
        if self.watched.load(Ordering::Relaxed) & COLD != 0 {
            self.watched.fetch_and(!COLD, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::__private::{Lookup, Resolved};
    use crate::SingleFlight;
    use crate::cache::{Builder, Cache};
    use crate::key::Key;
    use crate::returned::Share;

    /// As an annotated function does.
    fn call<Q: Key>(cache: &Cache<Q::Owned, u64>, key: Q, body: impl FnOnce() -> u64) -> u64 {
        match Resolved::of(cache).__lookup(key, || ()) {
            Lookup::Hit(value) => value,
            Lookup::Miss(missed) => missed.load_blocking(Share::none(), body),
        }
    }

    fn calls(cache: &Cache<u64, u64>, keys: std::ops::Range<u64>) {
        keys.for_each(|key| assert_eq!(call(cache, &key, || key), key));
    }

    fn is_cold<K, V>(cache: &Cache<K, V>) -> bool {
        cache.inner.watched.load(Ordering::Relaxed) & COLD != 0
    }

    fn builder() -> Builder<u64, u64> {
        Cache::builder("cold").capacity(100_000)
    }

    #[test]
    fn what_is_there_is_found_though_misses_come_in_a_row() {
        let minute = Duration::from_secs(60);
        for builder in [builder(), builder().ttl(minute), builder().sliding(minute)] {
            let cache = builder.build().unwrap();
            calls(&cache, 0..64);
            assert!(is_cold(&cache));
            assert_eq!(call(&cache, &0, || 1), 0);
            assert!(!is_cold(&cache));
            calls(&cache, 64..127);
            assert!(!is_cold(&cache), "the row began anew");
            calls(&cache, 127..128);
            assert!(is_cold(&cache));
            assert_eq!(cache.blocking().get(&0), Some(0), "who asks otherwise looks as always");
            assert!(!is_cold(&cache));
            let stats = cache.stats();
            assert_eq!((stats.hits, stats.misses, stats.loads), (2, 128, 128));
        }
    }

    #[test]
    fn of_keys_that_allocate_and_errors_that_are_kept_each_read_looks_first() {
        let named: Cache<String, u64> = Cache::builder("named").build().unwrap();
        (0..200).for_each(|key| assert_eq!(call(&named, &*key.to_string(), || key), key));
        assert!(!is_cold(&named));
        for builder in [builder().cache_err(true), builder().single_flight(SingleFlight::Off)] {
            let cache = builder.build().unwrap();
            calls(&cache, 0..200);
            assert!(!is_cold(&cache));
        }
    }

    #[test]
    fn requests_are_recorded_though_misses_come_in_a_row() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), builder().build().unwrap());
        calls(&cache, 0..64);
        assert!(is_cold(&cache));
        let recorder = cache.record(folder.path().join("keys.trace"), 1.0).unwrap();
        calls(&cache, 64..300);
        calls(&cache, 0..300);
        assert_eq!(recorder.finish().unwrap().requests, 536);
        assert_eq!(cache.stats().hits, 300);
    }

    #[test]
    fn a_thread_that_misses_takes_no_hit_from_another() {
        let cache = builder().build().unwrap();
        calls(&cache, 0..10);
        std::thread::scope(|scope| {
            scope.spawn(|| calls(&cache, 10..50_000));
            scope.spawn(|| (0..5_000).for_each(|_| calls(&cache, 0..10)));
        });
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.loads), (50_000, 50_000, 50_000));
    }
}
