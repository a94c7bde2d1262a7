//! Evictions and writes.

use std::hash::Hash;

use super::context::Said;
use super::flight::{Flying, Locked};
use super::registry::Going;
use super::{Cache, Digest, Inner};
use crate::entry::{Entry, Kept, View};
use crate::error::Error;
use crate::key::{Key, Stored};
use crate::memory::Removed;
use crate::rt;

/// How far an eviction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Evicted {
    /// It is in effect wherever the cache lives.
    Acknowledged,
    /// It is in effect here, and queued for a remote tier that cannot be reached.
    Deferred,
}

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The flight loses its right to fill and the entry goes, in one step: a fill that got in before is removed, one
    /// that comes after is refused.
    pub(crate) fn evict<Q: Key<Owned = K>>(&self, key: &Q) {
        let hash = self.hash(key);
        tracing::trace!(cache = %self.name, key = %Digest(hash), "evict");
        let mut removed = Removed::default();
        let mut stripe = self.flights.lock(hash);
        if stripe.table.is_idle() {
            stripe.table.note_write(self.flights.period());
        } else {
            drop(stripe);
            let key = Stored { hash, key: key.to_owned_key() };
            stripe = self.flights.lock(hash);
            stripe.table.evict(&key, self.flights.period());
        }
        self.memory.evict(hash, key, &mut stripe.wheel, &mut removed);
        drop(stripe);
        self.release(removed);
    }

    /// Evicts in the remote tier, if there is one, what memory is rid of already.
    pub(crate) async fn evict_elsewhere(&self, keys: impl FnOnce() -> Vec<Stored<K>>) -> Result<Evicted, Error> {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote
            && let Some(me) = self.me.upgrade()
        {
            return Box::pin(remote.evict(&me, keys())).await;
        }
        let _ = keys;
        Ok(Evicted::Acknowledged)
    }

    /// An eviction in the remote tier, if there is one, of what memory is rid of already.
    pub(crate) fn evicting(&self, key: &K) -> Option<Going> {
        #[cfg(feature = "redis")]
        if self.remote.is_some()
            && let Some(me) = self.me.upgrade()
        {
            let key = self.stored(&key);
            return Some(Box::pin(async move {
                if let Err(error) = me.evict_elsewhere(|| vec![key]).await {
                    tracing::error!(%error, "an eviction was not acknowledged");
                }
            }));
        }
        let _ = key;
        None
    }

    /// Evicts in the remote tier, if there is one, in the background: whoever wanted it is gone.
    pub(crate) fn evict_later(&self, key: &K) {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote {
            remote.evict_later(key);
        }
        let _ = key;
    }

    /// Clears the remote tier, if there is one; memory is rid of everything already.
    pub(crate) async fn clear_elsewhere(&self) -> Result<Evicted, Error> {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote {
            return Box::pin(remote.clear(self)).await;
        }
        Ok(Evicted::Acknowledged)
    }

    pub(crate) async fn insert_everywhere<Q: Key<Owned = K>>(
        &self,
        key: &Q,
        value: V,
        said: Said,
    ) -> Result<(), Error> {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote
            && let Some(me) = self.me.upgrade()
        {
            // Memory takes it from the remote tier at the next read: what is put there last is what stays.
            self.evict(key);
            return Box::pin(remote.put(&me, self.stored(key), &value, said, None)).await.map(drop);
        }
        self.insert(key, value, said);
        Ok(())
    }

    pub(crate) fn insert<Q: Key<Owned = K>>(&self, key: &Q, value: V, said: Said) {
        self.put(self.stored(key), value, said, |table, key, period| {
            table.evict(key, period);
            true
        });
    }

    /// Puts a value in if `admit` says so, else sees to it that the key is absent; one step under the stripe's lock.
    fn put(
        &self,
        key: Stored<K>,
        value: V,
        said: Said,
        admit: impl FnOnce(&mut Flying<K, V>, &Stored<K>, u64) -> bool,
    ) {
        let generation = self.generation();
        // The clock that lags: a life that begins a little early ends a little early.
        let start = self.clock.now();
        let terms = self.terms(&key.key, View::Value(&value), start, generation, said);
        let entry = terms.map(|terms| Entry { kept: Kept::Value(value), terms });
        let mut removed = Removed::default();
        let refused = {
            let Locked { table, wheel } = &mut *self.flights.lock(key.hash);
            if admit(table, &key, self.flights.period()) {
                self.replace(key, entry, wheel, &mut removed);
                None
            } else {
                self.replace(key, None, wheel, &mut removed);
                entry
            }
        };
        // The value's `Drop` is the user's: outside of the lock.
        drop(refused);
        self.release_at(removed, || start);
    }
}

/// A write to the source that is under way, taken by [`Cache::write`] before the write begins.
///
/// From then on no load that is under way may fill, and of several writers of one key only the one that began last may
/// put its value, if nothing else touched the key: two writers that finish in the wrong order leave the key absent,
/// never old. Dropped without [`put`](Self::put) or [`cancel`](Self::cancel) it evicts, because the write may have
/// happened.
#[must_use = "dropping a write evicts its key"]
pub struct Write<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    cache: Cache<K, V>,
    /// Taken when the write ends.
    key: Option<Stored<K>>,
    number: u64,
    /// What keeps others from filling in the remote tier.
    #[cfg(feature = "redis")]
    intent: Option<Vec<u8>>,
}

impl<K, V> std::fmt::Debug for Write<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write").field("cache", &self.cache.name()).finish_non_exhaustive()
    }
}

impl<K, V> Write<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// In memory at once, in the remote tier with one round trip.
    pub(crate) async fn begin(cache: Cache<K, V>, key: Stored<K>) -> Result<Self, Error> {
        #[allow(unused_mut, reason = "without a remote tier there is nothing to add")]
        let mut write = Self::begin_here(cache, key);
        #[cfg(feature = "redis")]
        if let (Some(remote), Some(key)) = (&write.cache.inner.remote, &write.key) {
            write.cache.inner.evict(&&key.key);
            write.intent = remote.intend(&write.cache.inner, key).await?;
        }
        Ok(write)
    }

    /// [`begin`](Self::begin) of several keys, at once.
    pub(crate) async fn begin_all(cache: &Cache<K, V>, keys: &[Stored<K>]) -> Result<Vec<Self>, Error> {
        #[cfg(feature = "redis")]
        if cache.inner.remote.is_some() {
            let begun = keys.iter().map(|key| Self::begin(cache.clone(), key.clone()));
            return futures_util::future::join_all(begun).await.into_iter().collect();
        }
        Ok(keys.iter().map(|key| Self::begin_here(cache.clone(), key.clone())).collect())
    }

    /// The key was evicted by other means.
    pub(crate) fn evicted(mut self) {
        if let Some(key) = self.key.take() {
            self.cache.inner.flights.lock(key.hash).table.end_write(&key, self.number);
        }
    }

    /// [`begin`](Self::begin), though the remote tier refuses: then what is put evicts.
    pub(crate) async fn begin_anyway(cache: Cache<K, V>, key: Stored<K>) -> Self {
        let again = (cache.clone(), key.clone());
        match Self::begin(cache, key).await {
            Ok(write) => write,
            Err(error) => {
                tracing::error!(%error, "a write goes on without a lease in the remote tier");
                Self::begin_here(again.0, again.1)
            }
        }
    }

    fn begin_here(cache: Cache<K, V>, key: Stored<K>) -> Self {
        let own = key.clone();
        let flights = &cache.inner.flights;
        let number = flights.lock(key.hash).table.begin_write(key, flights.period());
        Self {
            cache,
            key: Some(own),
            number,
            #[cfg(feature = "redis")]
            intent: None,
        }
    }

    /// The write happened, and this is the value now.
    ///
    /// # Errors
    ///
    /// None in the memory tier.
    pub async fn put(mut self, value: V) -> Result<(), Error> {
        #[cfg(feature = "redis")]
        if let (Some(remote), Some(key)) = (&self.cache.inner.remote, &self.key) {
            // Whether it is the newest is for the remote tier to say, where writers of other processes are seen too.
            self.cache.inner.flights.lock(key.hash).table.end_write(key, self.number);
            self.cache.inner.evict(&&key.key);
            let intent = self.intent.take();
            let (key, cache) = (self.key.take().expect("it was there"), &self.cache);
            // Without an intent the remote tier was away when the write began: nobody knows who is newest.
            return match intent {
                Some(intent) => remote.put(&cache.inner, key, &value, Said::default(), Some(&intent)).await.map(drop),
                None => remote.evict(&cache.inner, vec![key]).await.map(drop),
            };
        }
        if let Some(key) = self.key.take() {
            let number = self.number;
            self.cache.inner.put(key, value, Said::default(), |table, key, period| {
                let newest = table.end_write(key, number);
                table.evict(key, period);
                newest
            });
        }
        Ok(())
    }

    /// [`put`](Self::put) from a plain function.
    ///
    /// # Errors
    ///
    /// None in the memory tier.
    pub fn put_blocking(self, value: V) -> Result<(), Error> {
        rt::block_on(self.put(value))
    }

    /// The write did not happen: what the cache has is right.
    pub fn cancel(mut self) {
        if let Some(key) = self.key.take() {
            self.cache.inner.flights.lock(key.hash).table.end_write(&key, self.number);
            #[cfg(feature = "redis")]
            if let (Some(remote), Some(intent)) = (&self.cache.inner.remote, self.intent.take()) {
                remote.withdraw(&key.key, intent);
            }
        }
    }
}

impl<K, V> Drop for Write<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.cache.inner.flights.lock(key.hash).table.end_write(&key, self.number);
            self.cache.inner.evict(&&key.key);
            self.cache.inner.evict_later(&key.key);
        }
    }
}

/// What had been written to a cache when a write began whose key is not known yet. Once it is, the value may be put if
/// nothing was written since to the key's stripe; else the key is made absent.
#[derive(Debug)]
pub(crate) struct Ticket(u64);

impl<K, V> Cache<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.inner.flights.ticket())
    }

    pub(crate) fn put_with(&self, key: Stored<K>, value: V, Ticket(ticket): Ticket) {
        self.inner.put(key, value, Said::default(), |table, key, period| {
            let newest = !table.written_since(ticket);
            table.evict(key, period);
            newest
        });
    }
}
