//! Evictions and writes on the remote tier.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tracing::Instrument as _;

use super::Remote;
use super::lead::Loaded;
use super::member::Entry;
use crate::cache::Inner;
use crate::cache::builder::OnOutage;
use crate::cache::context::Said;
use crate::cache::write::Evicted;
use crate::coherence::deferred::{BATCH, Body, Text};
use crate::coherence::node::Partition;
use crate::driver::{Bump, Fault, Put};
use crate::entry::View;
use crate::error::{Error, ErrorKind};
use crate::fleet::{Doomed, Held, INTENT};
use crate::key::Stored;
use crate::key::text::KeyText;
use crate::memory::Removed;
use crate::nonce::{Nonce, nonce};
use crate::observe::Event;
use crate::record::settling;

impl<K, V> Remote<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Evicts keys that memory here is rid of already, and ends an intent on them: one round trip for up to 1 000 of them.
    pub(in crate::cache) async fn evict(
        &self,
        cache: &Arc<Inner<K, V>>,
        keys: Vec<Stored<K>>,
        intent: Option<Nonce>,
    ) -> Result<Evicted, Error> {
        Ok(self.remove(cache, keys, intent, settling(self.settle())).await?.0)
    }

    /// [`evict`](Self::evict) of a write that is over and was guarded from its beginning on.
    pub(in crate::cache) async fn end(
        &self,
        cache: &Arc<Inner<K, V>>,
        keys: Vec<Stored<K>>,
        intent: Nonce,
    ) -> Result<(), Error> {
        if self.remove(cache, keys, Some(intent), settling(self.settle())).await?.1 {
            tracing::warn!(
                cache = %cache.name,
                "a guard did not stand until its write was over: it took more than 30 s, or the remote tier lost it"
            );
        }
        Ok(())
    }

    /// Keeps everybody from filling keys until the write that begins now has ended; memory here is rid of them already. Whether
    /// that is known to be so.
    pub(in crate::cache) async fn intend(
        &self,
        cache: &Arc<Inner<K, V>>,
        keys: Vec<Stored<K>>,
        intent: Nonce,
    ) -> Result<bool, Error> {
        let (evicted, _) = self.remove(cache, keys, Some(intent), Some((intent, INTENT))).await?;
        Ok(evicted == Evicted::Acknowledged)
    }

    /// Evicts a key in the background, and ends an intent on it: the write did not happen, or nobody says what it wrote.
    pub(in crate::cache) fn withdraw(&self, cache: &Arc<Inner<K, V>>, key: Stored<K>, intent: Nonce) {
        let cache = Held::new(Arc::clone(cache));
        self.fleet.run_later(async move {
            if let Some(remote) = &cache.remote {
                // One that is not answered is queued.
                let _ = remote.evict(&cache, vec![key], Some(intent)).await;
            }
        });
    }

    /// Removes keys, ends an intent on them, and plants one for so long. Also whether the one that ends was known to stand no longer.
    async fn remove(
        &self,
        cache: &Arc<Inner<K, V>>,
        keys: Vec<Stored<K>>,
        ended: Option<Nonce>,
        planted: Option<(Nonce, Duration)>,
    ) -> Result<(Evicted, bool), Error> {
        let (mut evicted, mut lost) = (Evicted::Acknowledged, false);
        let over = ended.filter(|ended| planted.is_none_or(|(begun, _)| begun != *ended));
        let mut rest = Rest { remote: self, keys: keys.into_iter(), over };
        loop {
            let (texts, doomed) = self.spelled(cache, rest.keys.by_ref().take(BATCH));
            if texts.is_empty() && rest.keys.len() == 0 {
                return Ok((evicted, lost));
            }
            let remote: Vec<Vec<u8>> = texts.iter().flat_map(|text| self.place.keys_to_evict(text)).collect();
            let body = self.body(&texts);
            let tail = self.fleet.tail(&body);
            let (driver, remote, tail) = (&self.fleet.driver, &remote, &tail);
            // One that is executed, and sent again because its answer does not count, finds nothing any more.
            let stood = &AtomicBool::new(false);
            let sent = self.fleet.invalidate(Partition::Keys, body, over, doomed, |chain| async move {
                let (mark, gone) = driver.evict(remote, ended, planted, Bump { chain, tail }).await?;
                stood.fetch_or(!gone, Relaxed);
                Ok((mark, ()))
            });
            let sent = sent.instrument(self.span("evict")).await;
            lost |= sent.is_ok() && !stood.load(Relaxed);
            if self.outcome(cache, sent)? == Evicted::Deferred {
                evicted = Evicted::Deferred;
            }
        }
    }

    /// Clears the cache everywhere; memory here is rid of it already. One round trip, whatever its size.
    pub(in crate::cache) async fn clear(&self, cache: &Inner<K, V>) -> Result<Evicted, Error> {
        self.outcome(cache, self.fleet.clear(&self.name).instrument(self.span("clear")).await)
    }

    /// Puts a value; with `intent`, only if nobody else has touched the key since that was planted, and else the key is absent.
    pub(in crate::cache) async fn put(
        &self,
        cache: &Arc<Inner<K, V>>,
        key: Stored<K>,
        value: &V,
        said: Said,
        intent: Option<Nonce>,
    ) -> Result<Evicted, Error> {
        let Some(text) = self.spell(&key.key) else {
            cache.meter.count(Event::Unspellable);
            return Ok(Evicted::Acknowledged);
        };
        // Until it is sent.
        let mut rest = Rest { remote: self, keys: vec![key.clone()].into_iter(), over: intent };
        let start = cache.clock.now_precise();
        let loaded = Loaded { view: View::Value(value), start, said };
        let packed = self.born(&cache.meter).await.map(|born| cache.pack(self, &key, &text, loaded, nonce(), born));
        let Some((lives, Some(record))) = packed.map(|mut packed| (packed.lives(start), packed.record)) else {
            rest.keys = Vec::new().into_iter();
            // What was there is gone all the same.
            return self.evict(cache, vec![key], intent).await;
        };
        // Interleaving that this defeats: a large value is on its way, and whoever puts it gives up, or goes on; the key is evicted,
        // which is acknowledged; the value arrives, and is served until its lifetime ends.
        if rest.over.is_none() && self.fleet.driver.is_slow(&record) {
            let guard = nonce();
            rest.over = Some(guard);
            if !self.intend(cache, vec![key.clone()], guard).await? {
                return Ok(Evicted::Deferred);
            }
        }
        let intent = rest.over;
        rest.keys = Vec::new().into_iter();
        let own = self.place.key(&text);
        let others: Vec<_> = self.place.keys_to_evict(&text).filter(|other| *other != own).collect();
        let body = self.body(std::slice::from_ref(&text));
        let tail = self.fleet.tail(&body);
        let doomed: Box<dyn Doomed> =
            Box::new(Entry { cache: Held::new(Arc::clone(cache)), key, removed: Removed::default() });
        let put = Put { record: &record, lives, ended: intent, settle: self.settle() };
        let (driver, own, others, tail) = (&self.fleet.driver, &own, &others, &tail);
        let sent = self.fleet.invalidate(Partition::Keys, body, intent, vec![doomed], |chain| async move {
            driver.put(own, others, put, Bump { chain, tail }).await
        });
        self.outcome(cache, sent.instrument(self.span("put")).await)
    }

    /// Has keys evicted in the background: whoever wanted that is gone.
    pub(in crate::cache) fn evict_later(&self, key: &K) {
        if let Some(text) = self.spell(key) {
            self.fleet.defer(&self.body(std::slice::from_ref(&text)));
        }
    }

    /// Has the cache cleared in the background.
    pub(in crate::cache) fn clear_later(&self) {
        self.fleet.defer(&Body::Clear(Arc::clone(&self.name)));
    }

    /// For how long what is evicted settles.
    ///
    /// Interleaving that only its own cache's would not defeat: two functions share a name, and one asks a replica that lags; a key is
    /// evicted by the other, and the replica is asked for it; what it has is kept by both until its lifetime ends.
    fn settle(&self) -> Duration {
        self.fleet.settle(&self.name)
    }

    fn outcome<T>(&self, cache: &Inner<K, V>, sent: Result<T, Fault>) -> Result<Evicted, Error> {
        match sent {
            Ok(_) => Ok(Evicted::Acknowledged),
            Err(fault) => {
                cache.meter.count(Event::RemoteFault);
                match self.options.on_outage {
                    OnOutage::Queue => Ok(Evicted::Deferred),
                    OnOutage::Fail => {
                        Err(ErrorKind::Outage { cache: cache.name.clone(), reason: fault.to_string() }.into())
                    }
                }
            }
        }
    }

    fn spelled(
        &self,
        cache: &Arc<Inner<K, V>>,
        keys: impl Iterator<Item = Stored<K>>,
    ) -> (Vec<KeyText>, Vec<Box<dyn Doomed>>) {
        let mut texts = Vec::new();
        let mut doomed: Vec<Box<dyn Doomed>> = Vec::new();
        for key in keys {
            // One that has no text is in no remote tier.
            if let Some(text) = self.spell(&key.key) {
                texts.push(text);
                doomed.push(Box::new(Entry { cache: Held::new(Arc::clone(cache)), key, removed: Removed::default() }));
            }
        }
        (texts, doomed)
    }

    fn body(&self, texts: &[KeyText]) -> Body {
        let text = |text: &KeyText| Text { cache: Arc::clone(&self.name), key: Arc::from(text.as_str().as_bytes()) };
        Body::Keys(texts.iter().map(text).collect())
    }
}

/// Keys whose eviction has not begun. Dropped with whoever wanted it, or because what went before failed, it is queued, and so is the
/// end of an intent.
struct Rest<'r, K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    remote: &'r Remote<K, V>,
    keys: std::vec::IntoIter<Stored<K>>,
    over: Option<Nonce>,
}

impl<K, V> Drop for Rest<'_, K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        let Self { remote, keys, over } = self;
        loop {
            let texts: Vec<_> = keys.by_ref().take(BATCH).filter_map(|key| remote.spell(&key.key)).collect();
            if !texts.is_empty() {
                let body = remote.body(&texts);
                remote.fleet.defer(&body);
                over.iter().for_each(|intent| remote.fleet.abandon(*intent, &body));
            } else if keys.len() == 0 {
                return;
            }
        }
    }
}
