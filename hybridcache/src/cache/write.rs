//! Evictions and writes.

use std::collections::HashSet;
use std::hash::Hash;

use super::context::Said;
use super::keep::replace;
use super::registry::Going;
use super::shards::{Flying, Locked};
use super::{Cache, Digest, Inner};
use crate::entry::{Entry, Kept, View};
use crate::error::Error;
use crate::key::{Key, Prehashed, Stored};
use crate::memory::Removed;
#[cfg(feature = "redis")]
use crate::nonce::{Nonce, nonce};
use crate::rt;

/// How far an eviction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Evicted {
    /// It is in effect here, and in the remote tier if there is one. Other processes hear of it as their `Consistency` says.
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
        let mut shard = self.shards.lock(hash);
        if shard.table.is_idle() {
            shard.table.note_write(hash, self.shards.period());
        } else {
            drop(shard);
            let key = Stored { hash, key: key.to_owned_key() };
            shard = self.shards.lock(hash);
            shard.table.evict(&key, self.shards.period());
        }
        let left = shard.memory.evict(hash, key);
        drop(shard);
        if let Some(left) = &left {
            self.memory.release_one(left, || (self.generation(), self.now()));
        }
    }

    /// [`evict`](Self::evict), where more is to be done whatever becomes of this: a `Drop` that panics is reported and goes no
    /// further.
    pub(crate) fn evict_guarded<Q: Key<Owned = K>>(&self, key: &Q) {
        rt::guarded("drop of a value", || self.evict(key));
    }

    /// Evicts these keys here and in the remote tier.
    pub(crate) async fn evict_everywhere<Q: Key<Owned = K>>(&self, keys: &[Q]) -> Result<Evicted, Error> {
        keys.iter().for_each(|key| self.evict_guarded(key));
        self.evict_elsewhere(|| keys.iter().map(|key| self.stored(key)).collect()).await
    }

    /// Evicts in the remote tier, if there is one, what memory is rid of already.
    pub(crate) async fn evict_elsewhere(&self, keys: impl FnOnce() -> Vec<Stored<K>>) -> Result<Evicted, Error> {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote
            && let Some(me) = self.me.upgrade()
        {
            return Box::pin(remote.evict(&me, keys(), None)).await;
        }
        let _ = keys;
        Ok(Evicted::Acknowledged)
    }

    /// An eviction in the remote tier, if there is one, of what memory is rid of already.
    pub(crate) fn evicting(&self, key: &K) -> Option<Going> {
        let me = self.is_elsewhere().then(|| self.me.upgrade())??;
        let key = self.stored(&key);
        Some(Box::pin(async move {
            if let Err(error) = me.evict_elsewhere(|| vec![key]).await {
                tracing::error!(%error, "an eviction was not acknowledged");
            }
        }))
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
            self.evict_guarded(key);
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

    /// Puts a value in if nothing was written to the key's group since `ticket` was drawn, else makes the key absent.
    pub(crate) fn put_unless_written(&self, key: Stored<K>, value: V, ticket: u64) {
        self.put(key, value, Said::default(), |table, key, period| {
            let newest = !table.written_since(key, ticket);
            table.evict(key, period);
            newest
        });
    }

    /// Puts a value in if `admit` says so, else sees to it that the key is absent; one step under the shard's lock.
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
            let Locked { table, memory } = &mut *self.shards.lock(key.hash);
            if admit(table, &key, self.shards.period()) {
                replace(memory, key, entry, &mut removed);
                None
            } else {
                memory.displace(&key, &mut removed);
                entry
            }
        };
        // The value's `Drop` is the user's: outside of the lock.
        drop(refused);
        self.release_at(&removed, || start);
    }
}

/// A write to the source that is under way, taken by [`Cache::write`] before the write begins.
///
/// From then on no load that is under way may fill. Of several writers of one key only the one that began last may
/// put its value, and only if nothing else touched the key: if two writers finish in the wrong order, the key ends up absent,
/// never old. With a remote tier no load may fill there until the write ends, for 30 s at most, and writers that
/// overlap put nothing. If it is dropped without [`put`](Self::put) or [`cancel`](Self::cancel), it evicts, because the write may
/// have happened.
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
    intent: Option<Intent>,
}

/// An intent in the remote tier.
#[cfg(feature = "redis")]
#[derive(Clone, Copy, Debug)]
struct Intent {
    nonce: Nonce,
    /// Whether the remote tier has said that it stands: it may even where it has not.
    planted: bool,
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
            write.cache.inner.evict_guarded(&&key.key);
            let nonce = nonce();
            // Known before it is sent: dropped meanwhile, the write takes it away.
            write.intent = Some(Intent { nonce, planted: false });
            let planted = Box::pin(remote.intend(&write.cache.inner, vec![key.clone()], nonce)).await?;
            write.intent = Some(Intent { nonce, planted });
        }
        Ok(write)
    }

    /// See [`Cache::guarded_write`].
    pub(crate) async fn guard<F, Fut>(
        cache: &Cache<K, V>,
        mut keys: Vec<Stored<K>>,
        write: F,
    ) -> Result<Fut::Output, Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future,
    {
        let inner = &cache.inner;
        // Where there are more than one script ends, a guard that ended with the first would be missed by the next.
        {
            let mut named = HashSet::with_hasher(Prehashed);
            keys.retain(|key| named.insert(key.clone()));
        }
        #[allow(unused_mut, reason = "without a remote tier there is nothing to add")]
        let mut guards: Vec<_> = keys.iter().map(|key| Self::begin_here(cache.clone(), key.clone())).collect();
        #[cfg(feature = "redis")]
        let intent = nonce();
        #[cfg(feature = "redis")]
        let mut guarded = false;
        #[cfg(feature = "redis")]
        if let Some(remote) = &inner.remote {
            keys.iter().for_each(|key| inner.evict_guarded(&&key.key));
            // Dropped before it began, or not begun, the guards take it away.
            guards.iter_mut().for_each(|guard| guard.intent = Some(Intent { nonce: intent, planted: false }));
            guarded = Box::pin(remote.intend(inner, keys.clone(), intent)).await?;
            // From here on it is not theirs: one that is dropped leaves it to its end, because what was sent to the source may
            // still be executed there.
            guards.iter_mut().for_each(|guard| guard.intent = None);
        }
        let returned = write().await;
        keys.iter().for_each(|key| inner.evict_guarded(&&key.key));
        #[cfg(feature = "redis")]
        if let Some(remote) = &inner.remote {
            if guarded {
                Box::pin(remote.end(inner, keys, intent)).await?;
            } else {
                Box::pin(remote.evict(inner, keys, Some(intent))).await?;
            }
        }
        guards.into_iter().for_each(Write::evicted);
        Ok(returned)
    }

    /// The key was evicted by other means.
    pub(crate) fn evicted(mut self) {
        if let Some(key) = self.key.take() {
            self.cache.inner.shards.lock(key.hash).table.end_write(&key, self.number);
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
        let shards = &cache.inner.shards;
        let number = shards.lock(key.hash).table.begin_write(key, shards.period());
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
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub async fn put(mut self, value: V) -> Result<(), Error> {
        #[cfg(feature = "redis")]
        if let (Some(remote), Some(key)) = (&self.cache.inner.remote, &self.key) {
            // Whether it is the newest is for the remote tier to say, where writers of other processes are seen too.
            self.cache.inner.shards.lock(key.hash).table.end_write(key, self.number);
            self.cache.inner.evict_guarded(&&key.key);
            let (key, cache) = (self.key.take().expect("it was there"), &self.cache.inner);
            // Without an intent that stood before the write nobody knows who is newest.
            return match self.intent {
                Some(Intent { nonce, planted: true }) => {
                    Box::pin(remote.put(cache, key, &value, Said::default(), Some(nonce))).await.map(drop)
                }
                intent => Box::pin(remote.evict(cache, vec![key], intent.map(|intent| intent.nonce))).await.map(drop),
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
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub fn put_blocking(self, value: V) -> Result<(), Error> {
        rt::block_on(self.put(value))
    }

    #[cfg(feature = "redis")]
    fn withdraw(&self, key: Stored<K>) {
        if let (Some(remote), Some(intent)) = (&self.cache.inner.remote, self.intent) {
            remote.withdraw(&self.cache.inner, key, intent.nonce);
        }
    }

    /// The write did not happen: what the cache has is right.
    pub fn cancel(mut self) {
        if let Some(key) = self.key.take() {
            self.cache.inner.shards.lock(key.hash).table.end_write(&key, self.number);
            #[cfg(feature = "redis")]
            self.withdraw(key);
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
            self.cache.inner.shards.lock(key.hash).table.end_write(&key, self.number);
            self.cache.inner.evict_guarded(&&key.key);
            self.cache.inner.evict_later(&key.key);
            #[cfg(feature = "redis")]
            self.withdraw(key);
        }
    }
}
