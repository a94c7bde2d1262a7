//! The verbs of a cache as plain functions.

use std::collections::HashMap;
use std::future::ready;
use std::hash::Hash;

use super::context::Said;
use super::{Cache, Evicted, LoadContext, Write};
use crate::error::Error;
use crate::key::Key;
use crate::returned::{Returned, Share};
use crate::rt;

/// A cache as plain functions see it, by [`Cache::blocking`]. Each verb does what the verb of that name of [`Cache`] does, and
/// [`Fetch::load_blocking`](crate::Fetch::load_blocking) says how it was answered. A verb that has to wait parks the thread: for
/// the load of another caller at most `wait_timeout`, and for the answer of a remote tier at most its timeouts. It needs no runtime,
/// and can be used inside one.
#[derive(Debug)]
pub struct Blocking<'c, K, V> {
    cache: &'c Cache<K, V>,
}

impl<'c, K, V> Blocking<'c, K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(cache: &'c Cache<K, V>) -> Self {
        Self { cache }
    }

    /// See [`Cache::get`].
    pub fn get<Q: Key<Owned = K>>(&self, key: Q) -> Option<V> {
        rt::block_on(self.cache.inner.get_anywhere(&key, true))
    }

    /// See [`Cache::peek`].
    pub fn peek<Q: Key<Owned = K>>(&self, key: Q) -> Option<V> {
        rt::block_on(self.cache.inner.peek_anywhere(&key))
    }

    /// See [`Cache::contains`].
    pub fn contains<Q: Key<Owned = K>>(&self, key: Q) -> bool {
        rt::block_on(self.cache.inner.peek_anywhere(&key)).is_some()
    }

    /// See [`Cache::get_many`].
    pub fn get_many<Q: Key<Owned = K>>(&self, keys: impl IntoIterator<Item = Q>) -> Vec<Option<V>> {
        rt::block_on(self.cache.get_many(keys))
    }

    /// See [`Cache::get_many_or_load`].
    ///
    /// # Errors
    ///
    /// Those of `loader`.
    pub fn get_many_or_load<Q: Key<Owned = K>, E>(
        &self,
        keys: impl IntoIterator<Item = Q>,
        loader: impl FnOnce(Vec<K>) -> Result<HashMap<K, V>, E>,
    ) -> Result<Vec<Option<V>>, E> {
        rt::block_on(self.cache.get_many_or_load(keys, |keys| ready(loader(keys))))
    }

    /// See [`Cache::get_or_load`]. A plain function never waits for an async leader, since the waiting thread may be the one that has
    /// to poll it: it runs its own loader instead, and what that returns is not kept.
    pub fn get_or_load<Q: Key<Owned = K>, R: Returned<V>>(&self, key: Q, loader: impl FnOnce() -> R) -> R {
        self.cache.fetch(key).load_blocking(Share::none(), |_| loader()).result
    }

    /// See [`Cache::get_or_load_with`].
    pub fn get_or_load_with<Q: Key<Owned = K>, R: Returned<V>>(
        &self,
        key: Q,
        loader: impl FnOnce(LoadContext) -> R,
    ) -> R {
        self.cache.fetch(key).load_blocking(Share::none(), loader).result
    }

    /// See [`Cache::refresh`].
    pub fn refresh<Q: Key<Owned = K>, R: Returned<V>>(&self, key: Q, loader: impl FnOnce() -> R) -> R {
        self.cache.fetch(key).reload().load_blocking(Share::none(), |_| loader()).result
    }

    /// See [`Cache::insert`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub fn insert<Q: Key<Owned = K>>(&self, key: Q, value: V) -> Result<(), Error> {
        // Straight on where there is nothing to wait for: what a future is carried about in is a fifth of a put.
        if self.cache.inner.is_elsewhere() {
            return rt::block_on(self.cache.insert(key, value));
        }
        self.cache.inner.insert(&key, value, Said::default());
        Ok(())
    }

    /// See [`Cache::insert_with`].
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_with<Q: Key<Owned = K>>(
        &self,
        key: Q,
        value: V,
        say: impl FnOnce(&LoadContext),
    ) -> Result<(), Error> {
        rt::block_on(self.cache.insert_with(key, value, say))
    }

    /// See [`Cache::write`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub fn write<Q: Key<Owned = K>>(&self, key: Q) -> Result<Write<K, V>, Error> {
        rt::block_on(self.cache.write(key))
    }

    /// See [`Cache::guarded_write`].
    ///
    /// # Errors
    ///
    /// As [`Cache::guarded_write`].
    pub fn guarded_write<Q: Key<Owned = K>, T>(
        &self,
        keys: impl IntoIterator<Item = Q>,
        write: impl FnOnce() -> T,
    ) -> Result<T, Error> {
        rt::block_on(self.cache.guarded_write(keys, || ready(write())))
    }

    /// See [`Cache::evict`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub fn evict<Q: Key<Owned = K>>(&self, key: Q) -> Result<Evicted, Error> {
        if self.cache.inner.is_elsewhere() {
            return rt::block_on(self.cache.evict(key));
        }
        self.cache.inner.evict(&key);
        Ok(Evicted::Acknowledged)
    }

    /// See [`Cache::evict_many`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub fn evict_many<Q: Key<Owned = K>>(&self, keys: impl IntoIterator<Item = Q>) -> Result<Evicted, Error> {
        rt::block_on(self.cache.evict_many(keys))
    }

    /// See [`Cache::clear`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub fn clear(&self) -> Result<Evicted, Error> {
        rt::block_on(self.cache.clear())
    }
}
