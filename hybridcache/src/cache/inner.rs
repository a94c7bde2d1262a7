//! What the verbs of a cache have in common: a look into memory, the way past it, and the sweep.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

#[cfg(feature = "redis")]
use super::ELSEWHERE;
use super::context::Said;
use super::read::{Miss, Want};
use super::registry::{Erased, Going};
use super::{COLD, EXPIRES, Inner, RECORDS};
use crate::entry::{Entry, Kept, Side};
use crate::key::{Key, Prehashed, Stored};
use crate::memory::{Removed, Taken};
use crate::observe::{Event, Stats};
use crate::rt;
use crate::time::Clock;
#[cfg(feature = "redis")]
use crate::time::NEVER;

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The time to compare deadlines with. The clock is not read while no entry has one.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        if self.watched.load(Ordering::Relaxed) & EXPIRES != 0 { self.clock.now() } else { 0 }
    }

    /// The same, for a read that counts as a request for the key with this hash.
    #[inline]
    pub(crate) fn asked(&self, hash: u64) -> u64 {
        let watched = self.watched.load(Ordering::Relaxed);
        if watched & RECORDS != 0 {
            self.note(hash);
        }
        if watched & EXPIRES != 0 { self.clock.now() } else { 0 }
    }

    /// Of which generation an entry has to be to be served now, and the time to compare its deadline with.
    #[inline]
    pub(crate) fn served(&self) -> (u32, u64) {
        self.served_at(self.now())
    }

    #[inline]
    pub(crate) fn served_at(&self, now: u64) -> (u32, u64) {
        let generation = self.generation();
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote {
            return (remote.served(generation, now), now);
        }
        (generation, now)
    }

    /// Whether there is a remote tier.
    pub(super) fn is_elsewhere(&self) -> bool {
        #[cfg(feature = "redis")]
        return self.remote.is_some();
        #[cfg(not(feature = "redis"))]
        false
    }

    /// When a flight begins that is entered now; only remote tiers ask how old one is.
    pub(super) fn began(&self) -> u64 {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote {
            return remote.fleet.clock.now();
        }
        0
    }

    /// What memory answers. Whoever `GOES_ON` as a miss if it answers nothing looks again there, and is answered nothing where misses
    /// come in a row.
    // As `__lookup`, and for the same reason.
    #[inline(always)]
    pub(crate) fn hit<Q: Key<Owned = K>, S, const GOES_ON: bool>(&self, hash: u64, key: &Q) -> Option<Option<V>> {
        let watched = self.watched.load(Ordering::Relaxed);
        let (generation, now) = match watched {
            // What most are: one comparison instead of four.
            EXPIRES => (self.generation(), Clock::kernel_now()),
            0 => (self.generation(), 0),
            _ if GOES_ON && watched & !EXPIRES == COLD => return None,
            _ => self.watched_at(hash),
        };
        #[cfg(feature = "redis")]
        if watched & ELSEWHERE != 0
            && let Some(remote) = &self.remote
            && self.rules.idle != NEVER
        {
            return self.hit_sliding(remote, hash, key, generation, now);
        }
        self.shards.hit::<_, S>(hash, key, generation, now)
    }

    /// A look that may find a reload due. What slides in the remote tier is renewed there.
    pub(crate) fn look_ahead<Q: Key<Owned = K>>(&self, hash: u64, key: &Q) -> Option<(Kept<V>, Option<Arc<Side>>)> {
        let (generation, now) = self.served_at(self.asked(hash));
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote
            && self.rules.idle != NEVER
        {
            return self.look_sliding(remote, hash, key, generation, now);
        }
        self.shards.look(hash, key, generation, now)
    }

    /// Of which generation an entry has to be for a hit, and the time to compare its deadline with, where there is more to see to.
    // Not within the hit, where all would pay for its size.
    #[inline(never)]
    fn watched_at(&self, hash: u64) -> (u32, u64) {
        // The guess is of use to those alone who go on as a miss, and the others do not come this way without it.
        self.expect_hits();
        self.served_at(self.asked(hash))
    }

    /// A flight that began before this may not be joined.
    pub(super) fn horizon(&self) -> u64 {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote {
            return remote.horizon();
        }
        0
    }

    /// What the key is called in a log: never itself.
    pub(crate) fn digest(&self, key: &Stored<K>) -> Digest {
        Digest(key.hash)
    }

    #[inline]
    pub(crate) fn hash<Q: Key<Owned = K>>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(crate) fn stored<Q: Key<Owned = K>>(&self, key: &Q) -> Stored<K> {
        Stored { hash: self.hash(key), key: key.to_owned_key() }
    }

    pub(crate) fn miss<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, want: Want) -> Miss<'_, K, V> {
        Miss { inner: self, key: Stored { hash, key: key.to_owned_key() }, want }
    }

    /// The value in memory, or else in the remote tier. The way there is boxed, as on the way of a miss: what memory
    /// answers must not pay for its size.
    pub(crate) async fn get_anywhere<Q: Key<Owned = K>>(&self, key: &Q, blocking: bool) -> Option<V> {
        let value = self.get(key);
        #[cfg(feature = "redis")]
        if let (None, Some(remote)) = (&value, &self.remote)
            && let Some(key) = self.missing(key)
        {
            return Box::pin(self.get_remotely(remote, key, blocking)).await;
        }
        #[cfg(not(feature = "redis"))]
        let _ = blocking;
        value
    }

    /// [`get_anywhere`](Self::get_anywhere), and nothing is kept or counted for it.
    pub(crate) async fn peek_anywhere<Q: Key<Owned = K>>(&self, key: &Q) -> Option<V> {
        let found = self.peek(key);
        #[cfg(feature = "redis")]
        if let (None, Some(remote)) = (&found, &self.remote) {
            return Box::pin(self.peek_remotely(remote, self.stored(key))).await;
        }
        found.flatten()
    }

    /// The value in memory. Counts a hit or a miss.
    // Whether there is a `None` in its place is asked in another look: of a value of two words an `Option` of an `Option` is three,
    // which each hit would hand on through memory.
    pub(super) fn get<Q: Key<Owned = K>>(&self, key: &Q) -> Option<V> {
        /// Its look is compiled for this function alone, see [`Resolved`](crate::site::Resolved).
        enum Get {}
        let found = self.hit::<_, Get, false>(self.hash(key), key);
        match &found {
            Some(_) => self.meter.hit(),
            None => self.meter.count(Event::Miss),
        }
        found.flatten()
    }

    /// A key of which memory has no value, as it is stored, unless memory has a `None`: that is an answer.
    #[cold]
    #[inline(never)]
    fn missing<Q: Key<Owned = K>>(&self, key: &Q) -> Option<Stored<K>> {
        let (hash, (generation, now)) = (self.hash(key), self.served());
        let kept = self.shards.peek(hash, key, generation, now);
        (!matches!(kept, Some(None))).then(|| Stored { hash, key: key.to_owned_key() })
    }

    fn peek<Q: Key<Owned = K>>(&self, key: &Q) -> Option<Option<V>> {
        let (generation, now) = self.served();
        self.shards.peek(self.hash(key), key, generation, now)
    }

    /// Looks for several keys in memory.
    fn look_for<Q: Key<Owned = K>>(&self, keys: impl IntoIterator<Item = Q>) -> Batch<K, V> {
        // Both are read before the first look, so that nothing can be written unseen between the look and the load.
        let (ticket, generation) = (self.shards.ticket(), self.generation());
        let mut batch = Batch { ticket, generation, found: Vec::new(), missing: Vec::new(), again: Vec::new() };
        let mut known: HashMap<u64, usize, Prehashed> = HashMap::default();
        for key in keys {
            let (at, value) = (batch.found.len(), self.get(&key));
            if value.is_none()
                && let Some(key) = self.missing(&key)
            {
                let first = *known.entry(key.hash).or_insert(batch.missing.len());
                match batch.missing.get(first) {
                    Some((first, missing)) if *missing == key => batch.again.push((at, *first)),
                    _ => batch.missing.push((at, key)),
                }
            }
            batch.found.push(value);
        }
        batch
    }

    pub(super) async fn get_many_or_load<Q, E, F, Fut>(
        &self,
        keys: impl IntoIterator<Item = Q>,
        loader: F,
    ) -> Result<Vec<Option<V>>, E>
    where
        Q: Key<Owned = K>,
        F: FnOnce(Vec<K>) -> Fut,
        Fut: Future<Output = Result<HashMap<K, V>, E>>,
    {
        let mut batch = self.look_for(keys);
        if !batch.missing.is_empty() {
            self.load_many(&mut batch, loader).await?;
        }
        let Batch { mut found, again, .. } = batch;
        again.into_iter().for_each(|(at, first)| found[at] = found[first].clone());
        Ok(found)
    }

    async fn load_many<E, F, Fut>(&self, batch: &mut Batch<K, V>, loader: F) -> Result<(), E>
    where
        F: FnOnce(Vec<K>) -> Fut,
        Fut: Future<Output = Result<HashMap<K, V>, E>>,
    {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote {
            return self.load_many_remotely(remote, batch, loader).await;
        }
        let missing = std::mem::take(&mut batch.missing);
        let keys = missing.iter().map(|(_, key)| key.key.clone()).collect();
        let (start, loaded) = self.run(None, None, || Box::pin(loader(keys)), Result::is_err).await;
        let mut loaded = loaded?;
        for (at, key) in missing {
            let value = loaded.remove(&key.key);
            let terms = self.terms(&key.key, value.as_ref().into(), start, batch.generation, Said::default());
            let entry = terms.map(|terms| Entry { kept: Kept::from(value.clone()), terms });
            if value.is_some() || entry.is_some() {
                self.fill_unless_written(key, entry, batch.ticket, batch.generation);
            }
            batch.found[at] = value;
        }
        Ok(())
    }

    pub(crate) fn begin_clear(&self) {
        // First the generation: from here on no reader takes what is there. Then the flights: none that began before
        // may fill. One that begins in between loads afresh and is not kept, which costs a load and nothing else.
        // The highest bit is the remote tier's: it marks what is served only while nobody can vouch for memory.
        let next = |generation: u32| Some(generation.wrapping_add(1) & (u32::MAX >> 1));
        let _ = self.generation.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        for shard in self.shards.each() {
            let keys = shard.write().table.clear(self.shards.period());
            drop(keys);
        }
    }

    /// All entries, a shard at a time, which is emptied as it is asked for.
    pub(super) fn take_all(&self) -> impl Iterator<Item = Taken<K, V>> {
        self.shards.each().map(|shard| shard.write().memory.take_all())
    }

    /// Frees what has expired.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        for shard in self.shards.each() {
            loop {
                let mut removed = Removed::default();
                let more = shard.write().memory.expire(now, &mut removed);
                self.release_each(removed);
                if !more {
                    break;
                }
            }
            let mut removed = Removed::default();
            let sparse = shard.write().memory.shrink(&mut removed);
            drop(sparse);
            self.release_each(removed);
        }
    }

    /// For some of many: a `Drop` that panics must not keep the others from their end.
    pub(super) fn release_each(&self, removed: Removed<K, V>) {
        for removed in removed.each() {
            rt::guarded("drop of a value", || {
                self.release(&removed);
                drop(removed);
            });
        }
    }

    /// An entry with a deadline is about to be put in: from here on the clock is read, and expired memory freed in the
    /// background.
    #[inline]
    pub(super) fn expect_expiry(&self) {
        if self.watched.load(Ordering::Relaxed) & EXPIRES == 0 {
            self.begin_expiry();
        }
    }

    #[cold]
    pub(super) fn begin_expiry(&self) {
        let began = self.watched.fetch_or(EXPIRES, Ordering::Relaxed) & EXPIRES != 0;
        if !began && self.clock.is_real() && self.sweep_interval != Duration::MAX {
            let me = Weak::clone(&self.me);
            self.tasks.every(self.sweep_interval, move || me.upgrade().inspect(|cache| cache.sweep()).is_some());
        }
    }
}

/// Several keys that are asked for at once.
pub(super) struct Batch<K, V> {
    ticket: u64,
    generation: u32,
    /// What was found, in the order of the keys.
    pub(super) found: Vec<Option<V>>,
    /// What memory lacks, each key once, by its first place among them.
    pub(super) missing: Vec<(usize, Stored<K>)>,
    /// Where one of these comes again, and its first place.
    again: Vec<(usize, usize)>,
}

/// The entries of a shard that was emptied. They leave, whether they are waited for or not.
pub(super) struct Leaving<'c, K, V, I>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    I: Iterator<Item = Removed<K, V>>,
{
    cache: &'c Inner<K, V>,
    entries: I,
}

impl<'c, K, V, I> Leaving<'c, K, V, I>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    I: Iterator<Item = Removed<K, V>>,
{
    pub(super) fn new(cache: &'c Inner<K, V>, entries: I) -> Self {
        Self { cache, entries }
    }

    /// Up to `most` leave; returns how many did.
    pub(super) fn some(&mut self, most: usize) -> usize {
        self.entries.by_ref().take(most).map(|removed| self.cache.release_each(removed)).count()
    }
}

impl<K, V, I> Drop for Leaving<'_, K, V, I>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    I: Iterator<Item = Removed<K, V>>,
{
    fn drop(&mut self) {
        self.some(usize::MAX);
    }
}

/// A key in a log: the same for the same key of the same process, and nothing anybody could read.
pub(crate) struct Digest(pub(super) u64);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl<K, V> Erased for Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn stats(&self) -> Stats {
        self.meter.read(self.shards.len(), self.shards.weight())
    }

    fn types(&self) -> &'static str {
        std::any::type_name::<(K, V)>()
    }

    fn version_elsewhere(&self) -> Option<u32> {
        self.is_elsewhere().then_some(self.version)
    }

    fn evict_any(&self, key: &dyn Any) -> bool {
        let key = key.downcast_ref::<K>();
        if let Some(key) = key {
            self.evict_guarded(&key);
        }
        key.is_some()
    }

    fn evicting_any(&self, key: &dyn Any) -> Option<Going> {
        self.evicting(key.downcast_ref::<K>()?)
    }

    fn evict_any_later(&self, key: &dyn Any) {
        if let Some(key) = key.downcast_ref::<K>() {
            self.evict_later(key);
        }
    }

    fn clear_now(&self) {
        self.begin_clear();
        self.take_all().for_each(|mut taken| drop(Leaving::new(self, taken.drain())));
    }

    fn clearing(&self) -> Option<Going> {
        let me = self.is_elsewhere().then(|| self.me.upgrade())??;
        Some(Box::pin(async move {
            if let Err(error) = me.clear_elsewhere().await {
                tracing::error!(%error, "a clear was not acknowledged");
            }
        }))
    }

    fn clear_later(&self) {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote {
            remote.clear_later();
        }
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
