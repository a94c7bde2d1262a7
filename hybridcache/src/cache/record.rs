//! Recording which keys are asked for, so that policies and capacities can be compared on the real stream.

use std::fmt;
use std::fs::File;
use std::hash::Hash;
use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Cache, Inner, RECORDS};

/// How many requests wait to be written. One that finds no room is left out and counted.
const ROOM: usize = 65_536;
/// How often they are written.
const SLICE: Duration = Duration::from_millis(50);

/// A recording under way, by [`Cache::record`]. Dropping it ends the recording; [`finish`](Self::finish) does so too, and
/// says how it went.
#[must_use = "dropping it ends the recording"]
pub struct Recorder {
    film: Arc<Film>,
    /// Tells the cache. Taken by whoever ends the recording.
    stop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Requests in the file.
    pub requests: u64,
    /// Requests that were left out because they came faster than they could be written.
    pub dropped: u64,
}

/// A file, and what is on the way to it.
struct Film {
    waiting: Mutex<Vec<u32>>,
    dropped: AtomicU64,
    // Locked before `waiting` is emptied, so that slices are written in the order of the requests.
    output: Mutex<Output>,
}

struct Output {
    /// None after the end, and after a failure: a stream with a hole in an unknown place would be worth nothing.
    file: Option<File>,
    requests: u64,
    failed: Option<io::Error>,
}

/// The recording of a cache, if there is one. Looked at only while the cache knows that there is.
#[derive(Default)]
pub(crate) struct Recording {
    /// Keys whose hash, spread, is not above this are in it. Not beside the file: of the others no request takes a lock.
    highest: AtomicU64,
    film: Mutex<Option<Arc<Film>>>,
}

impl<K, V> Cache<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Records which keys are asked for, hits and misses alike, until the [`Recorder`] is dropped: to compare policies
    /// and capacities on the stream as it is.
    ///
    /// The file has four bytes for each request, the hash of its key (big-endian, and another hash in each process);
    /// never a key. `share` is the share of keys that are recorded, above 0 and up to 1: all requests for a chosen key
    /// are, so that a small share of a busy cache still tells how the whole behaves. Reads past the cache and forced
    /// reloads are not requests.
    ///
    /// While nothing is recorded a hit costs one more test of a byte that it reads anyway. During a recording a request
    /// for a chosen key takes a lock that all threads share, for a push to a buffer; the buffer is bounded, and written
    /// every 50 ms by a task of the cache's manager.
    ///
    /// # Errors
    ///
    /// The file cannot be created (one that is there is replaced), `share` is out of range
    /// ([`InvalidInput`](io::ErrorKind::InvalidInput)), or a recording of this cache is under way
    /// ([`ResourceBusy`](io::ErrorKind::ResourceBusy)).
    pub fn record(&self, path: impl AsRef<Path>, share: f64) -> io::Result<Recorder> {
        if !(share > 0.0 && share <= 1.0) {
            let reason = "the share of keys to record has to be above 0 and at most 1";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let inner = &self.inner;
        let mut recording = inner.recording.film.lock();
        if recording.is_some() {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "this cache is being recorded already"));
        }
        let film = Arc::new(Film {
            waiting: Mutex::new(Vec::with_capacity(ROOM)),
            dropped: AtomicU64::new(0),
            output: Mutex::new(Output { file: Some(File::create(path)?), requests: 0, failed: None }),
        });
        *recording = Some(Arc::clone(&film));
        // A float has no number for the largest integer: the conversion stops there.
        inner.recording.highest.store((share * 2.0_f64.powi(64)) as u64, Ordering::Relaxed);
        inner.watched.fetch_or(RECORDS, Ordering::Relaxed);
        drop(recording);

        let (slice, tasks) = (Arc::downgrade(&film), Arc::clone(&inner.tasks));
        inner.tasks.every(SLICE, move || match slice.upgrade() {
            // A disk may be slow: not on the thread that everybody's timers run on.
            Some(film) => film.waiting.lock().is_empty() || tasks.spawn_blocking(move || film.write_if_free()),
            None => false,
        });
        let cache = Weak::clone(&inner.me);
        let stop = move || {
            if let Some(cache) = cache.upgrade() {
                let mut recording = cache.recording.film.lock();
                cache.watched.fetch_and(!RECORDS, Ordering::Relaxed);
                *recording = None;
            }
        };
        Ok(Recorder { film, stop: Some(Box::new(stop)) })
    }
}

impl<K, V> Inner<K, V> {
    /// A read asked for the key with this hash.
    #[cold]
    #[inline(never)]
    pub(super) fn note(&self, hash: u64) {
        // The bits that choose the key are not those that stand for it.
        let spread = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if spread > self.recording.highest.load(Ordering::Relaxed) {
            return;
        }
        let film = self.recording.film.lock().clone();
        // Gone, if the recording ended between the caller's look at the byte and this one.
        if let Some(film) = film {
            film.note(hash);
        }
    }
}

impl Film {
    fn note(&self, hash: u64) {
        let key = (hash ^ (hash >> 32)) as u32;
        let mut waiting = self.waiting.lock();
        if waiting.len() < ROOM {
            waiting.push(key);
        } else {
            drop(waiting);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn recorded(&self, requests: u64) -> Recorded {
        Recorded { requests, dropped: self.dropped.load(Ordering::Relaxed) }
    }

    /// Writes what is waiting, unless the slice before is still being written: then the disk is slow, and more threads
    /// would only wait with it.
    fn write_if_free(&self) {
        if let Some(mut output) = self.output.try_lock() {
            self.write(&mut output);
        }
    }

    /// Writes what is waiting.
    fn write(&self, output: &mut Output) {
        let fresh = Vec::with_capacity(ROOM);
        let keys = mem::replace(&mut *self.waiting.lock(), fresh);
        let Some(file) = &mut output.file else {
            self.dropped.fetch_add(keys.len() as u64, Ordering::Relaxed);
            return;
        };
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_be_bytes()).collect();
        match file.write_all(&bytes) {
            Ok(()) => output.requests += keys.len() as u64,
            Err(error) => {
                tracing::warn!(%error, "a recording could not be written and ends here");
                (output.file, output.failed) = (None, Some(error));
            }
        }
    }
}

impl Recorder {
    /// How much was recorded so far.
    #[must_use]
    pub fn so_far(&self) -> Recorded {
        let requests = self.film.output.lock().requests + self.film.waiting.lock().len() as u64;
        self.film.recorded(requests)
    }

    /// Ends the recording, when all that was asked for until now is in the file.
    ///
    /// # Errors
    ///
    /// What was written could not be written; the file has what came before.
    pub fn finish(mut self) -> io::Result<Recorded> {
        self.end();
        let mut output = self.film.output.lock();
        match output.failed.take() {
            Some(error) => Err(error),
            // What waits now came too late: it is never written.
            None => Ok(self.film.recorded(output.requests)),
        }
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
            let mut output = self.film.output.lock();
            self.film.write(&mut output);
            output.file = None;
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("so_far", &self.so_far()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    fn cache() -> Cache<u64, u64> {
        Cache::builder("recorded").capacity(100).build().unwrap()
    }

    fn requests(path: &Path) -> Vec<u32> {
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes.len() % 4, 0);
        bytes.chunks(4).map(|key| u32::from_be_bytes(key.try_into().unwrap())).collect()
    }

    #[test]
    fn hits_and_misses_are_recorded_in_order() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), cache());
        let path = folder.path().join("keys.trace");
        let recorder = cache.record(&path, 1.0).unwrap();
        for key in [7, 8, 7, 7, 9] {
            cache.blocking().get_or_load(&key, || Ok::<_, io::Error>(key)).unwrap();
        }
        assert_eq!(cache.blocking().get(&8), Some(8));
        assert_eq!(recorder.finish().unwrap(), Recorded { requests: 6, dropped: 0 });
        cache.blocking().get(&7);
        let keys = requests(&path);
        assert_eq!(keys.len(), 6);
        let same = |a: usize, b: usize| keys[a] == keys[b];
        assert!(same(0, 2) && same(0, 3) && same(1, 5) && !same(0, 1) && !same(0, 4) && !same(1, 4));
    }

    #[test]
    fn a_share_of_the_keys_is_recorded_with_all_their_requests() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), cache());
        let path = folder.path().join("keys.trace");
        let recorder = cache.record(&path, 0.25).unwrap();
        for _ in 0..3 {
            (0..4_000).for_each(|key| _ = cache.blocking().get(&key));
        }
        let recorded = recorder.finish().unwrap();
        assert!((2_600..3_400).contains(&recorded.requests), "{recorded:?}");
        let keys = requests(&path);
        let round = keys.len() / 3;
        assert_eq!(keys[..round], keys[round..2 * round]);
    }

    #[test]
    fn a_request_for_a_key_that_is_not_chosen_takes_no_lock() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), cache());
        let recorder = cache.record(folder.path().join("keys.trace"), f64::MIN_POSITIVE).unwrap();
        let held = cache.inner.recording.film.lock();
        thread::scope(|scope| {
            let asks = scope.spawn(|| (0..1_000).for_each(|key| _ = cache.blocking().get(&key)));
            let start = Instant::now();
            while !asks.is_finished() && start.elapsed() < Duration::from_secs(10) {
                thread::yield_now();
            }
            let waits = !asks.is_finished();
            drop(held);
            assert!(!waits);
        });
        assert_eq!(recorder.finish().unwrap(), Recorded::default());
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), cache());
        let path = folder.path().join("keys.trace");
        let recorder = cache.record(&path, 1.0).unwrap();
        // Nothing is written while the output is held, so the buffer fills.
        let output = recorder.film.output.lock();
        (0..ROOM as u64 + 5).for_each(|key| _ = cache.blocking().get(&key));
        assert_eq!(recorder.film.dropped.load(Ordering::Relaxed), 5);
        drop(output);
        assert_eq!(recorder.finish().unwrap(), Recorded { requests: ROOM as u64, dropped: 5 });
        assert_eq!(requests(&path).len(), ROOM);
    }

    /// Who found the recording under way, and was held up.
    #[test]
    fn what_comes_too_late_for_the_file_is_not_counted() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), cache());
        let path = folder.path().join("keys.trace");
        for _ in 0..100 {
            let recorder = cache.record(&path, 1.0).unwrap();
            let (film, over) = (Arc::clone(&recorder.film), Arc::new(AtomicU64::new(0)));
            let late = thread::spawn({
                let over = Arc::clone(&over);
                move || {
                    while over.load(Ordering::Relaxed) == 0 {
                        film.note(7);
                    }
                }
            });
            let recorded = recorder.finish().unwrap();
            over.store(1, Ordering::Relaxed);
            late.join().unwrap();
            assert_eq!(recorded.requests, requests(&path).len() as u64);
        }
    }

    #[test]
    fn one_recording_at_a_time_and_another_after_it() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), cache());
        let path = folder.path().join("keys.trace");
        let recorder = cache.record(&path, 1.0).unwrap();
        cache.blocking().get(&7);
        assert_eq!(cache.record(&path, 1.0).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(recorder.so_far().requests, 1);
        drop(recorder);
        assert_eq!(requests(&path).len(), 1);
        let again = cache.record(&path, 1.0).unwrap();
        assert_eq!(again.finish().unwrap(), Recorded::default());
    }

    #[test]
    fn bad_shares_and_places_are_refused() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), cache());
        for share in [0.0, -1.0, 1.5, f64::NAN] {
            let refused = cache.record(folder.path().join("keys.trace"), share).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
        assert!(cache.record(folder.path(), 1.0).is_err());
        assert!(cache.record(folder.path().join("none/keys.trace"), 1.0).is_err());
        assert!(cache.record(folder.path().join("keys.trace"), 1.0).is_ok());
    }

    #[test]
    fn a_cache_that_goes_first_leaves_a_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.trace");
        let cache = cache();
        let recorder = cache.record(&path, 1.0).unwrap();
        cache.blocking().get(&7);
        drop(cache);
        assert_eq!(recorder.finish().unwrap().requests, 1);
        assert_eq!(requests(&path).len(), 1);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), cache());
        let path = folder.path().join("keys.trace");
        let recorder = cache.record(&path, 1.0).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5_000).for_each(|key| _ = cache.blocking().get(&key)));
            }
        });
        let recorded = recorder.finish().unwrap();
        assert_eq!(recorded.requests + recorded.dropped, 20_000);
        assert_eq!(requests(&path).len() as u64, recorded.requests);
    }
}
