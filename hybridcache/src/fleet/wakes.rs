//! Who waits for a load in another process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::rt::io::Signal;

/// The keys that somebody here waits for, each as its cache's name and its text.
#[derive(Debug, Default)]
pub(super) struct Wakes(Mutex<HashMap<(String, String), Arc<Signal>>>);

/// A place among those who wait. To be taken before the server is asked to announce the fill: one that is announced in
/// between is not missed.
#[derive(Debug)]
pub(crate) struct Awake<'w> {
    wakes: &'w Wakes,
    key: Option<(String, String)>,
    notify: Arc<Signal>,
}

impl Wakes {
    pub(super) fn wait(&self, name: &str, text: &str) -> Awake<'_> {
        let key = (name.to_owned(), text.to_owned());
        let notify = Arc::clone(self.0.lock().entry(key.clone()).or_default());
        Awake { wakes: self, key: Some(key), notify }
    }

    /// The key was filled, released or evicted: whoever waits for it looks again.
    pub(super) fn wake(&self, name: &str, text: &str) {
        let mut waiting = self.0.lock();
        if waiting.is_empty() {
            return;
        }
        if let Some(notify) = waiting.remove(&(name.to_owned(), text.to_owned())) {
            drop(waiting);
            notify.notify_all();
        }
    }

    /// Messages were lost: everybody looks again.
    pub(super) fn wake_all(&self) {
        let waiting = std::mem::take(&mut *self.0.lock());
        for notify in waiting.into_values() {
            notify.notify_all();
        }
    }
}

impl Awake<'_> {
    /// Returns when the key was announced since this place was taken. One local flight waits for a key at a time, so
    /// that one permit is enough.
    pub(crate) async fn announced(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        if let Entry::Occupied(entry) = self.wakes.0.lock().entry(key)
            && Arc::ptr_eq(entry.get(), &self.notify)
            // The map's, and this one.
            && Arc::strong_count(entry.get()) <= 2
        {
            entry.remove();
        }
    }
}
