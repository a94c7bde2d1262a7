//! What the attributes expand to: one site, one key, one call.

#[cfg(all(any(fuzzing, test), feature = "full"))]
pub mod fuzz;
mod place;
mod probe;
mod remote;
mod write;

use std::future::Future;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::cache::read::{Miss, Want};
use crate::cache::{Cache, Due as Reload, Inner};
use crate::key::{Key, Stored};
use crate::observe::Event;
use crate::returned::Returned as ReturnedTrait;

pub use crate::returned::{Returned, Share};
pub use place::{PlainSite, Site, path_beside, path_here};
pub use probe::{
    CacheValue, Done, KeyPart, KeyTarget, Keyed, KindProbe, OptionLike, PayloadProbe, Plain, ResultLike, ShareProbe,
    Targeted, Valued, assert_key, assert_plain, assert_target, assert_value, payload, share, via,
};
pub use remote::*;
pub use write::{All, At, Evict, Lease, Named, Target, Ticket, reported};

/// Tells the compiler that a body is called once: what it borrows mutably may then be in what it returns, and a variable that
/// holds it need not be `mut`.
pub fn once<R>(body: impl FnOnce() -> R) -> impl FnOnce() -> R {
    body
}

/// The cache that a call goes to.
#[derive(Debug)]
pub enum Resolved<'c, K, V> {
    /// That of a site, or one given with `cache = ..`.
    Borrowed(&'c Cache<K, V>),
    /// One that a scope may end.
    Owned(Cache<K, V>),
}

/// What a site finds.
pub type Found<K, V> = Resolved<'static, K, V>;

impl<'c, K, V> Resolved<'c, K, V> {
    /// A cache that the attribute names.
    pub fn of(cache: &'c Cache<K, V>) -> Self {
        Self::Borrowed(cache)
    }

    /// The cache, to keep.
    #[must_use]
    pub fn to_cache(&self) -> Cache<K, V> {
        Cache::clone(self)
    }
}

// By value: what a scope may end is carried on by a miss, and dropped by what is out of line, so that a hit in a cache of
// its own site is straight on.
impl<'c, K, V> Resolved<'c, K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The look of an annotated function. `_site` is a closure, which has a type of its own: the look is compiled for this
    /// function alone.
    // A third of what a hit adds to the bare lookup is to hand its answer through memory: so there is no call to hand
    // it over.
    #[doc(hidden)]
    #[inline(always)]
    pub fn __lookup<R: ReturnedTrait<V>, Q: Key<Owned = K>, S: Fn()>(self, key: Q, _site: S) -> Lookup<'c, K, V, R> {
        match self {
            Self::Borrowed(cache) => Self::Borrowed(cache).look::<_, _, S>(key),
            Self::Owned(cache) => Self::Owned(cache).look_out_of_line(key),
        }
    }

    #[inline(always)]
    fn look<R: ReturnedTrait<V>, Q: Key<Owned = K>, S>(self, key: Q) -> Lookup<'c, K, V, R> {
        let hash = self.inner.hash(&key);
        match self.inner.returned::<_, _, S>(hash, &key) {
            Some(returned) => Lookup::Hit(returned),
            None => Lookup::Miss(self.missed(hash, &key, Want::Fresh)),
        }
    }

    #[inline(never)]
    fn look_out_of_line<R: ReturnedTrait<V>, Q: Key<Owned = K>>(self, key: Q) -> Lookup<'c, K, V, R> {
        self.look::<_, _, ()>(key)
    }

    /// The look of an annotated function with `refresh_ahead`.
    #[doc(hidden)]
    pub fn __lookup_ahead<R: ReturnedTrait<V>, Q: Key<Owned = K>>(
        self,
        key: Q,
        share: Share<R::Error>,
    ) -> Ahead<'c, K, V, R> {
        let inner = &*self.inner;
        let hash = inner.hash(&key);
        if let Some((kept, side)) = inner.look_ahead(hash, &key) {
            let due = Reload::of(&self, side, || inner.stored(&key));
            if let Some(returned) = kept.into_returned(&share) {
                inner.meter.hit();
                return match due {
                    Some(reload) => Ahead::Due(returned, Due { reload, returned: PhantomData }),
                    None => Ahead::Hit(returned),
                };
            }
        }
        Ahead::Miss(self.missed(hash, &key, Want::Fresh))
    }

    /// A read that loads whatever the cache has.
    #[doc(hidden)]
    pub fn __forced<R: ReturnedTrait<V>, Q: Key<Owned = K>>(self, key: Q) -> Missed<'c, K, V, R> {
        let hash = self.inner.hash(&key);
        self.missed(hash, &key, Want::Reloaded)
    }

    /// Counts a call that `when` sent past the cache.
    #[doc(hidden)]
    pub fn __bypassed(&self) {
        self.inner.meter.count(Event::Bypassed);
    }

    #[cold]
    #[inline(never)]
    fn missed<R, Q: Key<Owned = K>>(self, hash: u64, key: &Q, want: Want) -> Missed<'c, K, V, R> {
        Missed { cache: self, key: Stored { hash, key: key.to_owned_key() }, want, returned: PhantomData }
    }
}

impl<K, V> Deref for Resolved<'_, K, V> {
    type Target = Cache<K, V>;

    #[inline]
    fn deref(&self) -> &Cache<K, V> {
        match self {
            Self::Borrowed(cache) => cache,
            Self::Owned(cache) => cache,
        }
    }
}

/// A look into the cache of an annotated function.
#[derive(Debug)]
pub enum Lookup<'c, K, V, R> {
    /// The answer.
    Hit(R),
    /// The body has to run, or somebody else's.
    Miss(Missed<'c, K, V, R>),
}

/// A look that may also find a reload due.
#[derive(Debug)]
pub enum Ahead<'c, K, V, R>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The answer.
    Hit(R),
    /// The answer, and a reload for this caller to start.
    Due(R, Due<K, V, R>),
    /// The body has to run, or somebody else's.
    Miss(Missed<'c, K, V, R>),
}

/// A miss, with the owned key: it borrows none of the arguments, which the body may move.
pub struct Missed<'c, K, V, R> {
    cache: Resolved<'c, K, V>,
    key: Stored<K>,
    want: Want,
    returned: PhantomData<fn() -> R>,
}

impl<K, V, R> std::fmt::Debug for Missed<'_, K, V, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Missed").finish_non_exhaustive()
    }
}

impl<K, V, R> Missed<'_, K, V, R>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    R: ReturnedTrait<V>,
{
    /// Loads, or waits for who does.
    pub async fn load<F, Fut>(self, share: Share<R::Error>, body: F) -> R
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = R>,
    {
        let Self { cache, key, want, .. } = self;
        let miss = Miss { inner: &cache.inner, key, want };
        miss.load(share, None, || Box::pin(body())).await.result
    }

    /// Loads, or waits for who does, on this thread.
    #[cold]
    #[inline(never)]
    pub fn load_blocking(self, share: Share<R::Error>, body: impl FnOnce() -> R) -> R {
        let Self { cache, key, want, .. } = self;
        Miss { inner: &cache.inner, key, want }.load_blocking(share, None, body).result
    }
}

/// A reload that is due.
#[derive(Debug)]
pub struct Due<K, V, R>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    reload: Reload<K, V>,
    returned: PhantomData<fn() -> R>,
}

impl<K, V, R> Due<K, V, R>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    R: ReturnedTrait<V> + 'static,
{
    /// Reloads behind the caller.
    pub fn spawn(self, body: impl Future<Output = R> + Send + 'static) {
        self.reload.spawn(body);
    }

    /// Reloads behind the caller, on a thread that may block.
    pub fn spawn_blocking(self, body: impl FnOnce() -> R + Send + 'static) {
        self.reload.spawn_blocking(body);
    }
}

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// What memory answers, as the function returns it.
    #[inline(always)]
    fn returned<R: ReturnedTrait<V>, Q: Key<Owned = K>, S>(&self, hash: u64, key: &Q) -> Option<R> {
        // A kept error needs to know how errors are shared: it is found on the way of a miss.
        let returned = R::join(Ok(self.hit::<_, S, true>(hash, key)?))?;
        self.meter.hit();
        Some(returned)
    }
}
