//! What `#[cache_evict]` and `#[cache_put]` expand to.

use std::any::Any;
use std::borrow::Cow;
use std::hash::Hash;
use std::sync::Arc;
use std::task::Poll;

use crate::cache::registry::{Erased, Going, Registry};
use crate::cache::{Cache, Write};
#[cfg(feature = "redis")]
use crate::coherence::deferred::{Body, EVERY_CACHE};
use crate::error::Error;
#[cfg(feature = "redis")]
use crate::fleet::Fleet;
use crate::key::Stored;
use crate::rt;

/// The write lease of one key.
pub type Lease<K, V> = Write<K, V>;

/// Something that can be evicted.
pub trait Target: Send + Sync {
    /// Evicts it in memory. What is returned evicts it in the remote tier; `None` if there is none.
    #[doc(hidden)]
    fn evict(&self) -> Option<Going>;

    /// Evicts it in memory, and in the remote tier in the background.
    #[doc(hidden)]
    fn evict_later(&self);
}

/// One key of one cache.
#[derive(Debug)]
pub struct At<K, V> {
    cache: Cache<K, V>,
    key: K,
}

impl<K, V> At<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// This key of this cache.
    pub fn new(cache: Cache<K, V>, key: K) -> Self {
        Self { cache, key }
    }

    /// Takes the write lease.
    pub async fn write(self) -> Lease<K, V> {
        let (cache, key) = self.stored();
        Write::begin_anyway(cache, key).await
    }

    fn stored(self) -> (Cache<K, V>, Stored<K>) {
        let hash = self.cache.inner.hash(&&self.key);
        (self.cache, Stored { hash, key: self.key })
    }

    /// Takes the write lease, from a plain function.
    pub fn write_blocking(self) -> Lease<K, V> {
        rt::block_on(self.write())
    }
}

impl<K, V> Target for At<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn evict(&self) -> Option<Going> {
        self.cache.inner.evict_guarded(&&self.key);
        self.cache.inner.evicting(&self.key)
    }

    fn evict_later(&self) {
        self.cache.inner.evict_guarded(&&self.key);
        self.cache.inner.evict_later(&self.key);
    }
}

/// All of one cache.
#[derive(Debug)]
pub struct All<K, V>(Cache<K, V>);

impl<K, V> All<K, V> {
    /// All of this cache.
    pub fn new(cache: Cache<K, V>) -> Self {
        Self(cache)
    }
}

impl<K, V> Target for All<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn evict(&self) -> Option<Going> {
        Erased::clear_now(&*self.0.inner);
        Erased::clearing(&*self.0.inner)
    }

    fn evict_later(&self) {
        Erased::clear_now(&*self.0.inner);
        Erased::clear_later(&*self.0.inner);
    }
}

/// A cache by its name, and a key of it or all.
pub struct Named {
    /// Where it was named: it may be evicted where the scope of the call is left already.
    registry: Arc<Registry>,
    name: Cow<'static, str>,
    key: Option<Box<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Named").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Named {
    /// This key of the caches with this name.
    pub fn one<K: Any + Send + Sync>(name: impl Into<Cow<'static, str>>, key: K) -> Self {
        Self { registry: Registry::current(), name: name.into(), key: Some(Box::new(key)) }
    }

    /// All of the caches with this name.
    #[must_use]
    pub fn all(name: impl Into<Cow<'static, str>>) -> Self {
        Self { registry: Registry::current(), name: name.into(), key: None }
    }
}

impl Target for Named {
    fn evict(&self) -> Option<Going> {
        #[cfg(feature = "redis")]
        if let Some((fleet, name)) = self.left_elsewhere() {
            return Some(Box::pin(async move {
                // One that is not acknowledged is queued.
                let _ = fleet.clear(&name).await;
            }));
        }
        let mut going = Vec::new();
        for cache in self.caches() {
            match &self.key {
                None => {
                    cache.clear_now();
                    going.extend(cache.clearing());
                }
                Some(key) => going.extend(cache.evicting_any(&**key)),
            }
        }
        together(going)
    }

    fn evict_later(&self) {
        #[cfg(feature = "redis")]
        if let Some((fleet, name)) = self.left_elsewhere() {
            return fleet.defer(&Body::Clear(name));
        }
        for cache in self.caches() {
            match &self.key {
                None => {
                    cache.clear_now();
                    cache.clear_later();
                }
                Some(key) => cache.evict_any_later(&**key),
            }
        }
    }
}

/// Drives several evictions at once.
fn together(going: Vec<Going>) -> Option<Going> {
    match going.len() {
        0 | 1 => going.into_iter().next(),
        _ => Some(Box::pin(async move {
            let mut going = going;
            std::future::poll_fn(|cx| {
                going.retain_mut(|going| going.as_mut().poll(cx).is_pending());
                if going.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        })),
    }
}

impl Named {
    /// A cache of this name that this process has not used yet, and the fleet in which others may have: what they left in the remote
    /// tier was not loaded here, where neither its version is known nor how a key is spelled.
    #[cfg(feature = "redis")]
    fn left_elsewhere(&self) -> Option<(Arc<Fleet>, Arc<str>)> {
        // No cache there has these names: one stands for every cache, the other for none.
        let fleet = self.registry.fleet().filter(|_| !["", EVERY_CACHE].contains(&&*self.name))?;
        self.registry.named(&self.name).is_empty().then(|| (Arc::clone(fleet), Arc::from(&*self.name)))
    }

    /// The caches it means. One that does not exist yet has nothing in memory, so that a name nobody has is no mistake that could be
    /// told from one.
    fn caches(&self) -> Vec<Arc<dyn Erased>> {
        let mut caches = self.registry.named(&self.name);
        caches.retain(|cache| match &self.key {
            Some(key) if !cache.evict_any(&**key) => {
                let types = cache.types();
                tracing::error!(
                    name = %self.name,
                    types,
                    "`cache_evict(named(..))` has a key of another type than the cache: nothing was evicted"
                );
                false
            }
            _ => true,
        });
        caches
    }
}

/// The evictions of one call of a function with `#[cache_evict]`.
///
/// Once armed, dropping it evicts: the body has begun, and a client that hangs up after the commit must not leave the
/// old value behind.
#[derive(Default)]
pub struct Evict {
    targets: Vec<Box<dyn Target>>,
    armed: bool,
}

impl std::fmt::Debug for Evict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evict").field("armed", &self.armed).finish_non_exhaustive()
    }
}

impl Evict {
    /// Nothing to evict yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This is to be evicted too.
    pub fn add(&mut self, target: impl Target + 'static) {
        self.targets.push(Box::new(target));
    }

    /// From here on the body may have had its effect.
    pub fn arm(&mut self) {
        self.armed = true;
    }

    /// The body had no effect.
    pub fn disarm(mut self) {
        self.armed = false;
    }

    /// Evicts: in memory at once, in the remote tier with one round trip for all. Dropped midway, what is left is evicted in the
    /// background.
    pub async fn finish(mut self) {
        self.armed = false;
        let going = self.targets.iter().filter_map(|target| target.evict()).collect();
        if let Some(going) = together(going) {
            going.await;
        }
    }

    /// Evicts, from a plain function.
    pub fn finish_blocking(self) {
        rt::block_on(self.finish());
    }
}

impl Drop for Evict {
    fn drop(&mut self) {
        if self.armed {
            self.targets.iter().for_each(|target| target.evict_later());
        }
    }
}

/// What a remote tier did not acknowledge of a put, where the cache is told to fail then: the caller of an annotated writer has no part
/// in it.
pub fn reported(put: Result<(), Error>) {
    if let Err(error) = put {
        tracing::error!(%error, "a put was not acknowledged");
    }
}

/// Drawn before a write whose key is known only after it.
#[derive(Debug)]
pub struct Ticket(u64);

impl Ticket {
    /// Puts the value if nothing was written to the key's group since, else evicts the key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub async fn put<K, V>(self, at: At<K, V>, value: V) -> Result<(), Error>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        #[cfg(feature = "redis")]
        if at.cache.inner.remote.is_some() {
            // Nobody in the fleet knows whether this write is the newest of its key.
            return at.cache.inner.evict_everywhere(&[&at.key]).await.map(drop);
        }
        let (cache, key) = at.stored();
        cache.inner.put_unless_written(key, value, self.0);
        Ok(())
    }

    /// [`put`](Self::put) from a plain function.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Outage`](crate::ErrorKind::Outage) if a remote tier did not acknowledge it and the cache is told to fail
    /// then; none in memory alone.
    pub fn put_blocking<K, V>(self, at: At<K, V>, value: V) -> Result<(), Error>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        rt::block_on(self.put(at, value))
    }
}

impl<K, V> Cache<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// To be drawn before a write whose key is known only after it.
    #[doc(hidden)]
    #[must_use]
    pub fn __ticket(&self) -> Ticket {
        Ticket(self.inner.shards.ticket())
    }
}
