//! The cache: what annotated functions use, and what there is to use by hand.

mod blocking;
mod builder;
mod cold;
mod context;
mod fetch;
mod flight;
mod inner;
mod keep;
pub(crate) mod read;
mod record;
mod refresh;
pub(crate) mod registry;
#[cfg(feature = "redis")]
mod remote;
mod rules;
mod shards;
#[cfg(all(test, shuttle))]
mod shuttle_tests;
mod write;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quick_cache::DefaultHashBuilder;

pub use blocking::Blocking;
pub use builder::{Builder, SingleFlight};
#[cfg(feature = "redis")]
pub use builder::{Consistency, OnOutage};
pub use context::LoadContext;
pub use fetch::{Fetch, Fetched, Tier};
pub use read::Outcome;
pub use record::{Recorded, Recorder};
pub(crate) use refresh::Due;
pub use write::{Evicted, Write};

use crate::error::Error;
use crate::key::{Key, Stored};
use crate::memory::Memory;
use crate::observe::{Meter, Stats};
use crate::returned::{Returned, Share};
use crate::rt::{self, Tasks};
use crate::sync::AtomicU32;
use crate::time::Clock;
use context::Said;
pub(crate) use inner::Digest;
use inner::Leaving;
use record::Recording;
use registry::Erased;
use rules::Rules;
use shards::Shards;

/// A typed cache: what `#[cached]` puts behind a function, by hand.
///
/// Cloning it is cheap, and clones are the same cache. Keys are given by reference ([`Key`]): a `Cache<u64, V>` is
/// asked with `&7`, a `Cache<String, V>` with `"abc"`, a `Cache<(u64, String), V>` with `(&7, "abc")`; a hit allocates
/// nothing.
///
/// The verbs are `async` because a remote tier is asked over the network. In a cache that is in memory alone, the only thing they ever
/// wait for is another caller's load. [`blocking`](Self::blocking) has the same verbs as plain functions.
///
/// `Clone` of the value and `Eq` of the key run under a shard's lock, and clones of a key may be dropped under one: do
/// not call the cache from these. Values are dropped where no lock is held.
///
/// ```
/// use hybridcache::Cache;
/// use std::time::Duration;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let users: Cache<u64, String> = Cache::builder("users").ttl(Duration::from_secs(60)).capacity(10_000).build()?;
///
/// let name = users.get_or_load(&7, || async { Ok::<_, std::io::Error>("Ada".to_owned()) }).await?;
/// assert_eq!(name, "Ada");
/// assert_eq!(users.get(&7).await.as_deref(), Some("Ada"));
///
/// users.evict(&7).await?;
/// assert_eq!(users.get(&7).await, None);
/// # Ok(()) }
/// # futures_block(run());
/// # fn futures_block(f: impl std::future::Future<Output = Result<(), Box<dyn std::error::Error>>>) {
/// #     let mut f = std::pin::pin!(f);
/// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// #     assert!(matches!(f.as_mut().poll(&mut cx), std::task::Poll::Ready(Ok(()))));
/// # }
/// ```
pub struct Cache<K, V> {
    pub(crate) inner: Arc<Inner<K, V>>,
}

/// What the clones of a cache share.
pub(crate) struct Inner<K, V> {
    hasher: DefaultHashBuilder,
    pub(crate) shards: Shards<K, V>,
    memory: Memory<K, V>,
    pub(crate) clock: Clock,
    /// How much the clock may lag: deadlines are that much early.
    pub(crate) lag: u64,
    /// Entries of an older generation are dead.
    generation: AtomicU32,
    pub(crate) meter: Arc<Meter>,
    pub(crate) rules: Rules<K, V>,
    #[cfg(feature = "redis")]
    pub(crate) remote: Option<remote::Remote<K, V>>,
    /// Where its background work is kept account of.
    tasks: Arc<Tasks>,
    /// What every read has to see to, in one byte: [`EXPIRES`], [`RECORDS`], [`OTHER_CLOCK`], [`ELSEWHERE`],
    /// [`COLD`].
    watched: AtomicU8,
    recording: Recording,
    sweep_interval: Duration,
    me: Weak<Self>,
    pub(crate) name: String,
    version: u32,
}

/// After so many entries a clear lets others have their turn.
const CLEARED_AT_ONCE: usize = 1_024;

/// Some entries have deadlines. Set before the first of them is put in.
const EXPIRES: u8 = 1;
/// Requests are being recorded.
const RECORDS: u8 = 2;
/// The clock is not [`Clock::kernel`].
const OTHER_CLOCK: u8 = 4;
/// There is a remote tier, which has a say in what may be served.
#[cfg(feature = "redis")]
const ELSEWHERE: u8 = 8;
/// Misses come in a row: a read that goes on as a miss looks only there, under the lock that it takes then.
const COLD: u8 = 16;

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<K, V> fmt::Debug for Inner<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<K, V> Cache<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Starts building a cache. The name is for people, statistics and
    /// [`CacheManager::cache`](crate::CacheManager::cache).
    pub fn builder(name: impl Into<Cow<'static, str>>) -> Builder<K, V> {
        Builder::new(name.into())
    }

    /// The value, if the cache has it. Counts a hit or a miss.
    pub async fn get<Q: Key<Owned = K>>(&self, key: Q) -> Option<V> {
        self.inner.get_anywhere(&key, false).await
    }

    /// The value, if the cache has it. Counts no hit and no miss, renews no lifetime, and does not make the entry hotter. Failures of a
    /// remote tier are counted as usual, in [`Stats::remote`].
    pub async fn peek<Q: Key<Owned = K>>(&self, key: Q) -> Option<V> {
        self.inner.peek_anywhere(&key).await
    }

    /// Whether the cache has a value for the key. Counts as little as [`peek`](Self::peek).
    pub async fn contains<Q: Key<Owned = K>>(&self, key: Q) -> bool {
        self.inner.peek_anywhere(&key).await.is_some()
    }

    /// The values that the cache has, in the order of the keys. Counts like as many [`get`](Self::get)s.
    pub async fn get_many<Q: Key<Owned = K>>(&self, keys: impl IntoIterator<Item = Q>) -> Vec<Option<V>> {
        let keys: Vec<Q> = keys.into_iter().collect();
        #[cfg(feature = "redis")]
        if self.inner.remote.is_some() {
            return remote::for_each_key(keys.iter().map(|key| self.inner.get_anywhere(key, false))).await;
        }
        keys.iter().map(|key| self.inner.get(key)).collect()
    }

    /// The value, loaded by `loader` if the cache does not have it.
    ///
    /// If several callers ask for one key, one of them loads and the others wait for it ([single-flight](SingleFlight)). An error is
    /// not shared with them, because not every error can be: [`fetch`](Self::fetch) takes a [`Share`] for that. A load never
    /// undoes an evict, put or clear that comes during it: whoever asked before gets its value, but the cache does not keep
    /// it.
    ///
    /// The loader is polled by its caller. If that caller goes away, one of those who wait runs its own loader.
    pub async fn get_or_load<Q, R, F, Fut>(&self, key: Q, loader: F) -> R
    where
        Q: Key<Owned = K>,
        R: Returned<V>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R>,
    {
        self.fetch(key).load(Share::none(), |_| loader()).await.result
    }

    /// [`get_or_load`](Self::get_or_load) with a loader that chooses what becomes of its value, from the value.
    pub async fn get_or_load_with<Q, R, F, Fut>(&self, key: Q, loader: F) -> R
    where
        Q: Key<Owned = K>,
        R: Returned<V>,
        F: FnOnce(LoadContext) -> Fut,
        Fut: Future<Output = R>,
    {
        self.fetch(key).load(Share::none(), loader).await.result
    }

    /// A read that says how it was answered, and takes options of its own.
    pub fn fetch<Q: Key<Owned = K>>(&self, key: Q) -> Fetch<'_, K, V, Q> {
        Fetch::new(&self.inner, key)
    }

    /// The values, in the order of the keys, with one call of `loader` for all that the cache does not have; each key is loaded once. What
    /// the loader leaves out of its map is `None`, and is kept as such with [`cache_none`](Builder::cache_none). A value is not kept if
    /// its key was written or refreshed during the load. In memory alone writes are noted by groups of keys, a 64th of all each (in a
    /// cache of few entries an eighth), so there a write to another key of its group is enough. Batches are not coalesced with other
    /// loads.
    pub async fn get_many_or_load<Q, E, F, Fut>(
        &self,
        keys: impl IntoIterator<Item = Q>,
        loader: F,
    ) -> Result<Vec<Option<V>>, E>
    where
        Q: Key<Owned = K>,
        F: FnOnce(Vec<K>) -> Fut,
        Fut: Future<Output = Result<std::collections::HashMap<K, V>, E>>,
    {
        self.inner.get_many_or_load(keys, loader).await
    }

    /// Loads now, whatever the cache has, and replaces it. Callers who miss meanwhile wait for this load; those who hit
    /// keep hitting. On an error the old value stays; a `None` that is not to be kept removes it. With a remote tier, two refreshes at
    /// once may leave the key absent.
    pub async fn refresh<Q, R, F, Fut>(&self, key: Q, loader: F) -> R
    where
        Q: Key<Owned = K>,
        R: Returned<V>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R>,
    {
        self.fetch(key).reload().load(Share::none(), |_| loader()).await.result
    }

    /// Puts a value in. Loads that are under way will not replace it. After a database write, prefer [`evict`](Self::evict) or
    /// [`write`](Self::write): of two bare puts the last to arrive stays, which need not be the last to commit. A value that is
    /// too heavy, or that [`store_if`](Builder::store_if) rejects, is not kept, and what was there is gone. With a remote tier this costs
    /// one round trip, or two if the value is over 256 KiB there. While the remote tier does not answer, this is an evict, and the value
    /// is not kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub async fn insert<Q: Key<Owned = K>>(&self, key: Q, value: V) -> Result<(), Error> {
        self.inner.insert_everywhere(&key, value, Said::default()).await
    }

    /// [`insert`](Self::insert) with a lifetime of its own: `|context| context.ttl(..)`.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn insert_with<Q: Key<Owned = K>>(
        &self,
        key: Q,
        value: V,
        say: impl FnOnce(&LoadContext),
    ) -> Result<(), Error> {
        let context = LoadContext::default();
        say(&context);
        self.inner.insert_everywhere(&key, value, context.said()).await
    }

    /// Announces a write to the source before it begins: see [`Write`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub async fn write<Q: Key<Owned = K>>(&self, key: Q) -> Result<Write<K, V>, Error> {
        Write::begin(self.clone(), self.inner.stored(&key)).await
    }

    /// Runs `write`, a transaction of the source that changes these keys, and evicts them. No load that began before it may fill
    /// them. With a remote tier no load in any process may fill them there from before `write` begins until it has ended. So if this
    /// process dies in between, nothing old stays, provided that the transaction ends within 30 s. Two round trips. Without a remote
    /// tier, what is loaded while `write` runs is served until it has ended.
    ///
    /// The keys are evicted whatever `write` returns, and in the background if this future is dropped. In that case nobody fills them in
    /// the remote tier for the rest of the 30 s, because the transaction may still be on its way. While the remote tier cannot be
    /// reached, `write` runs unguarded and the evict is queued; with `on_outage(OnOutage::Fail)` it does not run.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write) and [`evict`](Self::evict). If the first fails, `write` does not run. If the second fails, it
    /// has run, and what it returned is lost: with `on_outage(OnOutage::Fail)`, have it store its result in a variable outside, which
    /// also tells the two cases apart.
    pub async fn guarded_write<Q, F, Fut>(
        &self,
        keys: impl IntoIterator<Item = Q>,
        write: F,
    ) -> Result<Fut::Output, Error>
    where
        Q: Key<Owned = K>,
        F: FnOnce() -> Fut,
        Fut: Future,
    {
        let keys: Vec<Stored<K>> = keys.into_iter().map(|key| self.inner.stored(&key)).collect();
        Write::guard(self, keys, write).await
    }

    /// Removes a key. Once this has returned, no caller gets what was there, and no load that began before brings it
    /// back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub async fn evict<Q: Key<Owned = K>>(&self, key: Q) -> Result<Evicted, Error> {
        if self.inner.is_elsewhere() {
            return self.inner.evict_everywhere(&[key]).await;
        }
        self.inner.evict(&key);
        Ok(Evicted::Acknowledged)
    }

    /// Removes several keys. If the `Drop` of a value panics, that is reported, and the other keys are removed all the same.
    ///
    /// With a remote tier, 1 000 keys cost one round trip. If their texts, each with the name of the cache before it, are more
    /// than a message can hold (64 KiB), other processes drop everything that their memory has, of every cache: for so many long keys
    /// a [`clear`](Self::clear) disturbs them less.
    ///
    /// # Errors
    ///
    /// As [`evict`](Self::evict).
    pub async fn evict_many<Q: Key<Owned = K>>(&self, keys: impl IntoIterator<Item = Q>) -> Result<Evicted, Error> {
        let keys: Vec<Q> = keys.into_iter().collect();
        self.inner.evict_everywhere(&keys).await
    }

    /// Removes everything. Readers no longer see it from one moment to the next; the entries themselves leave in slices, so
    /// that nobody is kept waiting. If this future is dropped midway, what is left is dead all the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub async fn clear(&self) -> Result<Evicted, Error> {
        self.inner.begin_clear();
        let cleared = self.inner.clear_elsewhere().await;
        let mut slice = CLEARED_AT_ONCE;
        for mut taken in self.inner.take_all() {
            let mut leaving = Leaving::new(&self.inner, taken.drain());
            loop {
                slice -= leaving.some(slice);
                if slice > 0 {
                    break;
                }
                rt::yield_now().await;
                slice = CLEARED_AT_ONCE;
            }
        }
        cleared
    }

    /// The same verbs as plain functions.
    #[must_use]
    pub fn blocking(&self) -> Blocking<'_, K, V> {
        Blocking::new(self)
    }

    /// What this cache has counted, and what it holds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Erased::stats(&*self.inner)
    }

    /// Frees the memory of entries whose lifetime ended at least a sweep interval ago. This also happens in the background, by
    /// itself, except with a test clock.
    pub fn sweep(&self) {
        self.inner.sweep();
    }

    /// The name given to [`builder`](Self::builder).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The version given to [`Builder::version`].
    #[must_use]
    pub fn version(&self) -> u32 {
        self.inner.version
    }

    /// How many entries are held, including those that have expired and are not yet swept.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.inner.shards.len()
    }

    /// Whether no entry is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The weight that is held; the number of entries where there is no weigher.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.inner.shards.weight()
    }
}
