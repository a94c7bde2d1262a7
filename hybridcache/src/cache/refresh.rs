//! Reloading behind the caller.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use super::Cache;
use super::read::Want;
use super::registry::Scope;
use crate::entry::Side;
use crate::key::Stored;
use crate::observe::Event;
use crate::returned::{Returned, Share};
use crate::rt;

/// A reload that a hit found due. Its holder is the only one to have it: it spawns the reload, or by dropping it leaves
/// it to a later hit.
#[derive(Debug)]
pub(crate) struct Due<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    cache: Cache<K, V>,
    key: Stored<K>,
    side: Arc<Side>,
}

impl<K, V> Due<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The reload of an entry, if it is due and nobody else has taken it on.
    pub(crate) fn of(cache: &Cache<K, V>, side: Option<Arc<Side>>, key: impl FnOnce() -> Stored<K>) -> Option<Self> {
        let side = side?;
        let due = side.take_refresh(cache.inner.clock.now());
        due.then(|| Self { cache: cache.clone(), key: key(), side })
    }

    /// Reloads on the caller's runtime, or the library's.
    pub(crate) fn spawn<R, Fut>(self, body: Fut)
    where
        R: Returned<V> + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        let tasks = Arc::clone(&self.cache.inner.tasks);
        let scope = Scope::here();
        tasks.spawn(async move {
            match scope {
                Some(scope) => scope.run(self.run(false, body)).await,
                None => self.run(false, body).await,
            }
        });
    }

    /// Reloads on a thread that may block.
    pub(crate) fn spawn_blocking<R>(self, body: impl FnOnce() -> R + Send + 'static)
    where
        R: Returned<V> + 'static,
    {
        let tasks = Arc::clone(&self.cache.inner.tasks);
        let scope = Scope::here();
        tasks.spawn_blocking(move || {
            let _inside = scope.as_ref().map(Scope::enter);
            rt::block_on(self.run(true, async { body() }));
        });
    }

    /// With `blocking` it holds a thread of its own, so that plain functions may wait for it.
    async fn run<R: Returned<V>>(self, blocking: bool, body: impl Future<Output = R>) {
        let inner = &*self.cache.inner;
        // Somebody who missed, or asked for a reload, is at it already.
        let Some(leader) = inner.shards.enter_if_free(self.key.clone(), inner.generation(), inner.began(), blocking)
        else {
            return;
        };
        inner.meter.count(Event::Refresh);
        // Nobody is told of an error, and it may be one that must stay on its thread.
        let body = async { body.await.split().map_err(drop) };
        inner.lead(leader, Want::Ahead, Share::none(), None, || Box::pin(body)).await;
    }
}

impl<K, V> Drop for Due<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A reload that failed, or never ran, is due again after half of what is left of the life. One that succeeded has
    /// put another entry in the place of this one, and this changes nothing.
    fn drop(&mut self) {
        self.side.refresh_later(self.cache.inner.clock.now());
    }
}
