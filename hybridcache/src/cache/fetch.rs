//! A read that says how it was answered.

use std::future::Future;
use std::hash::Hash;

use super::Inner;
use super::context::LoadContext;
use super::flight::{Led, led};
use super::read::{Answered, Miss, Outcome, Want};
use crate::key::Key;
use crate::observe::Event;
use crate::returned::{Returned, Share};

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// The memory of this process.
    Memory,
    /// The remote tier.
    Redis,
    /// The body, whatever it asks.
    Source,
}

/// An answer, and how it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched<R> {
    /// What the loader returns, or would have.
    pub result: R,
    /// How the call was answered.
    pub outcome: Outcome,
    /// Where from.
    pub tier: Tier,
}

impl<R> Fetched<R> {
    fn new(Answered { result, outcome, tier }: Answered<R>) -> Self {
        Self { result, outcome, tier }
    }
}

/// A read with options, by [`Cache::fetch`](crate::Cache::fetch).
#[must_use = "a fetch does nothing until `load`"]
#[derive(Debug)]
pub struct Fetch<'c, K, V, Q> {
    inner: &'c Inner<K, V>,
    key: Q,
    bypass: bool,
    want: Want,
}

impl<'c, K, V, Q> Fetch<'c, K, V, Q>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    Q: Key<Owned = K>,
{
    pub(crate) fn new(inner: &'c Inner<K, V>, key: Q) -> Self {
        Self { inner, key, bypass: false, want: Want::Fresh }
    }

    /// Bypass the cache if this is true: neither look nor keep. The opposite of `when` on an annotated function.
    pub fn bypass_if(mut self, bypass: bool) -> Self {
        self.bypass = bypass;
        self
    }

    /// Load whatever the cache has, and replace it; see [`Cache::refresh`](crate::Cache::refresh).
    pub fn reload(mut self) -> Self {
        self.want = Want::Reloaded;
        self
    }

    /// Reads through the cache. `share` says how an error reaches those who wait for this load ([`Share::cloned`] for
    /// most error types).
    pub async fn load<R, F, Fut>(self, share: Share<R::Error>, loader: F) -> Fetched<R>
    where
        R: Returned<V>,
        F: FnOnce(LoadContext) -> Fut,
        Fut: Future<Output = R>,
    {
        match self.answer() {
            Ok(fetched) => fetched,
            Err(Unanswered::Bypass) => {
                let loader = || Box::pin(loader(LoadContext::default()));
                Fetched::new(Answered::here(Led::new(None, loader).await, Outcome::Bypassed))
            }
            Err(Unanswered::Miss(miss)) => {
                let context = LoadContext::default();
                Fetched::new(miss.load(share, Some(&context), || Box::pin(loader(context.clone()))).await)
            }
        }
    }

    /// [`load`](Self::load) from a plain function; if it has to wait, it parks the thread.
    pub fn load_blocking<R, F>(self, share: Share<R::Error>, loader: F) -> Fetched<R>
    where
        R: Returned<V>,
        F: FnOnce(LoadContext) -> R,
    {
        match self.answer() {
            Ok(fetched) => fetched,
            Err(Unanswered::Bypass) => {
                let result = led(None, || loader(LoadContext::default()));
                Fetched::new(Answered::here(result, Outcome::Bypassed))
            }
            Err(Unanswered::Miss(miss)) => {
                let context = LoadContext::default();
                Fetched::new(miss.load_blocking(share, Some(&context), || loader(context.clone())))
            }
        }
    }

    /// What memory answers.
    fn answer<R: Returned<V>>(self) -> Result<Fetched<R>, Unanswered<'c, K, V>> {
        /// Its look is compiled for this function alone, see [`Resolved`](crate::site::Resolved).
        enum Answer {}
        let Self { inner, key, bypass, want } = self;
        if bypass {
            inner.meter.count(Event::Bypassed);
            return Err(Unanswered::Bypass);
        }
        let hash = inner.hash(&key);
        if want == Want::Fresh
            && let Some(value) = inner.hit::<_, Answer, false>(hash, &key)
        {
            let outcome = if value.is_some() { Outcome::Hit } else { Outcome::Negative };
            if let Some(result) = R::join(Ok(value)) {
                inner.meter.hit();
                return Ok(Fetched::new(Answered::here(result, outcome)));
            }
        }
        Err(Unanswered::Miss(inner.miss(hash, &key, want)))
    }
}

/// What a loader is needed for.
enum Unanswered<'c, K, V> {
    /// Neither to look nor to keep.
    Bypass,
    Miss(Miss<'c, K, V>),
}
