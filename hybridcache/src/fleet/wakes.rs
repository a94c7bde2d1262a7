//! Who waits for a load in another process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::rt::io::Announcement;

/// The keys that somebody here waits for, each as its cache's name and its text. What is announced leaves: who comes later waits
/// for the next.
#[derive(Debug, Default)]
pub(super) struct Wakes(Mutex<HashMap<(String, String), Arc<Announcement>>>);

/// A place among those who wait. To be taken before the server is asked to announce the fill: one that is announced in
/// between is not missed.
#[derive(Debug)]
pub(crate) struct Awake<'w> {
    wakes: &'w Wakes,
    key: (String, String),
    /// Taken as the place is given up.
    announcement: Option<Arc<Announcement>>,
}

impl Wakes {
    pub(super) fn wait(&self, name: &str, text: &str) -> Awake<'_> {
        let key = (name.to_owned(), text.to_owned());
        let announcement = Arc::clone(self.0.lock().entry(key.clone()).or_default());
        Awake { wakes: self, key, announcement: Some(announcement) }
    }

    /// The key was filled, released or evicted: whoever waits for it looks again.
    pub(super) fn wake(&self, name: &str, text: &str) {
        let mut waiting = self.0.lock();
        if waiting.is_empty() {
            return;
        }
        if let Some(announcement) = waiting.remove(&(name.to_owned(), text.to_owned())) {
            drop(waiting);
            announcement.make();
        }
    }

    /// Messages were lost: everybody looks again.
    pub(super) fn wake_all(&self) {
        let waiting = std::mem::take(&mut *self.0.lock());
        for announcement in waiting.into_values() {
            announcement.make();
        }
    }
}

impl Awake<'_> {
    /// Returns when the key was announced since this place was taken, to everybody who had one by then.
    pub(crate) async fn announced(&self) {
        if let Some(announcement) = &self.announcement {
            announcement.made().await;
        }
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        let Some(announcement) = self.announcement.take() else { return };
        let mut waiting = self.wakes.0.lock();
        if let Entry::Occupied(entry) = waiting.entry(std::mem::take(&mut self.key))
            && Arc::ptr_eq(entry.get(), &announcement)
        {
            // Interleaving that dropping it under the lock defeats: the last two leave at once; each sees that the other still has its
            // place; nobody takes away what nobody waits for any more.
            drop(announcement);
            if Arc::strong_count(entry.get()) == 1 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn all_who_had_a_place_are_awake_though_none_of_them_waited_yet() {
        let wakes = Wakes::default();
        for wake in [|wakes: &Wakes| wakes.wake("users", "7"), Wakes::wake_all] {
            let places = [wakes.wait("users", "7"), wakes.wait("users", "7")];
            wakes.wake("users", "8");
            assert!(places.iter().all(|place| place.announced().now_or_never().is_none()));
            wake(&wakes);
            let later = wakes.wait("users", "7");
            assert!(places.iter().all(|place| place.announced().now_or_never().is_some()));
            assert!(later.announced().now_or_never().is_none(), "it was announced before");
            drop(places);
            assert_eq!(wakes.0.lock().len(), 1, "who comes later waits still");
            drop(later);
            assert!(wakes.0.lock().is_empty());
        }
    }

    #[test]
    fn of_those_who_leave_at_once_nothing_is_left() {
        let (wakes, barrier) = (Wakes::default(), Barrier::new(2));
        let waits = || {
            for round in 0..5_000 {
                let place = wakes.wait("users", &round.to_string());
                barrier.wait();
                drop(place);
            }
        };
        thread::scope(|scope| [(); 2].map(|()| scope.spawn(waits)).map(|thread| thread.join().unwrap()));
        assert_eq!(wakes.0.lock().len(), 0);
    }
}
