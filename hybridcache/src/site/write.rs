//! What `#[cache_evict]` and `#[cache_put]` expand to.

use std::any::Any;
use std::borrow::Cow;
use std::hash::Hash;

use crate::cache::registry::Registry;
use crate::cache::{Cache, Ticket as Drawn, Write};
use crate::error::Error;
use crate::key::Stored;

/// The write lease of one key.
pub type Lease<K, V> = Write<K, V>;

/// Something that can be evicted.
pub trait Target: Send + Sync {
    /// Evicts it.
    fn evict(&self);
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
    pub fn write(self) -> Lease<K, V> {
        let Stored { hash, .. } = self.cache.inner.stored(&&self.key);
        Write::begin(self.cache, Stored { hash, key: self.key })
    }
}

impl<K, V> Target for At<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn evict(&self) {
        self.cache.inner.evict(&&self.key);
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
    fn evict(&self) {
        crate::cache::registry::Erased::clear_now(&*self.0.inner);
    }
}

/// A cache by its name, and a key of it or all.
pub struct Named {
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
        Self { name: name.into(), key: Some(Box::new(key)) }
    }

    /// All of the caches with this name.
    #[must_use]
    pub fn all(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), key: None }
    }
}

impl Target for Named {
    /// A cache that does not exist yet holds nothing, so that a name nobody has is no mistake that could be told from
    /// one.
    fn evict(&self) {
        for cache in Registry::current().named(&self.name) {
            match &self.key {
                None => cache.clear_now(),
                Some(key) if cache.evict_any(&**key) => {}
                Some(_) => {
                    let types = cache.types();
                    tracing::error!(
                        name = %self.name,
                        types,
                        "`cache_evict(named(..))` has a key of another type than the cache: nothing was evicted"
                    );
                }
            }
        }
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

    /// Evicts.
    pub async fn finish(self) {
        self.finish_blocking();
    }

    /// Evicts, from a plain function.
    pub fn finish_blocking(mut self) {
        self.armed = true;
    }
}

impl Drop for Evict {
    fn drop(&mut self) {
        if self.armed {
            self.targets.iter().for_each(|target| target.evict());
        }
    }
}

/// Drawn before a write whose key is known only after it.
#[derive(Debug)]
pub struct Ticket(Drawn);

impl Ticket {
    /// Puts the value if nothing was written to the key's stripe since, else evicts the key.
    ///
    /// # Errors
    ///
    /// None in the memory tier.
    pub async fn put<K, V>(self, at: At<K, V>, value: V) -> Result<(), Error>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.put_blocking(at, value)
    }

    /// [`put`](Self::put) from a plain function.
    ///
    /// # Errors
    ///
    /// None in the memory tier.
    pub fn put_blocking<K, V>(self, at: At<K, V>, value: V) -> Result<(), Error>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let Stored { hash, .. } = at.cache.inner.stored(&&at.key);
        at.cache.put_with(Stored { hash, key: at.key }, value, self.0);
        Ok(())
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
        Ticket(self.ticket())
    }
}
