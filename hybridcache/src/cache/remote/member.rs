//! A cache, as its fleet sees it.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Inner;
use crate::cache::inner::Leaving;
use crate::cache::shards::Locked;
use crate::fleet::{Doomed, Held, Member};
use crate::key::Stored;
use crate::memory::Removed;
use crate::rt;

impl<K, V> Member for Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn name(&self) -> Arc<str> {
        self.remote.as_ref().map_or_else(|| Arc::from(&*self.name), |remote| Arc::clone(&remote.name))
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn settle(&self) -> Duration {
        self.remote.as_ref().map(|remote| remote.options.settle).unwrap_or_default()
    }

    fn doom(self: Arc<Self>, text: &str) -> Box<dyn Doomed> {
        let cache = Held::new(self);
        let read = || {
            let key = cache.remote.as_ref()?.options.spelling.read(text)?;
            Some(Stored { hash: cache.hash(&&key), key })
        };
        match rt::guarded("deserialisation of a key", read).flatten() {
            Some(key) => Box::new(Entry { cache, key, removed: Removed::default() }),
            // A long key, that travels as its hash; or one that only another version of this program can read.
            None => Box::new(Whole(cache)),
        }
    }

    fn raise_floor(&self) {
        self.begin_clear();
    }

    fn empty(self: Arc<Self>) -> Option<Box<dyn FnOnce() + Send>> {
        let cache = Held::new(self);
        if cache.shards.len() == 0 {
            return None;
        }
        let taken: Vec<_> = cache.take_all().collect();
        Some(Box::new(move || taken.into_iter().for_each(|mut taken| drop(Leaving::new(&cache, taken.drain())))))
    }

    fn hits(&self) -> u64 {
        self.meter.hits()
    }

    fn leave(self: Arc<Self>) {
        if let Some(last) = Arc::into_inner(self) {
            rt::aside(move || drop(last));
        }
    }
}

/// One key of a cache.
pub(super) struct Entry<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) cache: Held<Inner<K, V>>,
    pub(super) key: Stored<K>,
    pub(super) removed: Removed<K, V>,
}

impl<K, V> Doomed for Entry<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn kill(&mut self) {
        let Locked { table, memory } = &mut *self.cache.shards.lock(self.key.hash);
        table.evict(&self.key, self.cache.shards.period());
        memory.evict(self.key.hash, &&self.key.key).into_iter().for_each(|left| self.removed.add(left));
    }

    fn has_removed(&self) -> bool {
        !self.removed.is_empty()
    }
}

impl<K, V> Drop for Entry<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.cache.release(&self.removed);
    }
}

/// All of a cache.
struct Whole<K, V>(Held<Inner<K, V>>)
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static;

impl<K, V> Doomed for Whole<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn kill(&mut self) {
        self.0.begin_clear();
    }

    fn has_removed(&self) -> bool {
        false
    }
}
