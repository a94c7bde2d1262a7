//! Evictions and writes on the remote tier.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::Remote;
use super::lead::lives;
use super::member::Entry;
use crate::cache::Inner;
use crate::cache::builder::OnOutage;
use crate::cache::context::Said;
use crate::cache::write::Evicted;
use crate::coherence::deferred::{Body, Text};
use crate::coherence::node::Partition;
use crate::driver::{Bump, Fault};
use crate::entry::View;
use crate::error::Error;
use crate::fleet::Doomed;
use crate::key::Stored;
use crate::key::text::KeyText;
use crate::memory::Removed;
use crate::nonce::nonce;
use crate::observe::Event;
use crate::record::{Lease, Purpose, Stamp};

/// How many keys one script removes at most, with their neighbouring versions.
const BATCH: usize = 1_000;
/// How long a write may be under way before others may fill again.
const WRITE_LEASE: Duration = Duration::from_secs(30);

impl<K, V> Remote<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Evicts keys that memory here is rid of already: one round trip for up to 1 000 of them.
    pub(in crate::cache) async fn evict(
        &self,
        cache: &Arc<Inner<K, V>>,
        keys: Vec<Stored<K>>,
    ) -> Result<Evicted, Error> {
        let tombstone = self.tombstone();
        let instead = tombstone.as_ref().map(|record| (&record[..], self.options.settle));
        let mut evicted = Evicted::Acknowledged;
        let mut keys = keys.into_iter();
        loop {
            let (texts, doomed) = self.spelled(cache, keys.by_ref().take(BATCH));
            if texts.is_empty() && keys.len() == 0 {
                return Ok(evicted);
            }
            if self.remove(cache, &texts, doomed, instead).await? == Evicted::Deferred {
                evicted = Evicted::Deferred;
            }
        }
    }

    /// Removes keys, or puts a record in their place for so long: one round trip.
    async fn remove(
        &self,
        cache: &Inner<K, V>,
        texts: &[KeyText],
        doomed: Vec<Box<dyn Doomed>>,
        instead: Option<(&[u8], Duration)>,
    ) -> Result<Evicted, Error> {
        let remote: Vec<Vec<u8>> = texts.iter().flat_map(|text| self.place.keys_to_evict(text)).collect();
        let body = self.body(texts);
        let tail = self.fleet.tail(&body);
        let (driver, remote, tail) = (&self.fleet.driver, &remote, &tail);
        let sent = self.fleet.invalidate(Partition::Keys, body, doomed, |chain| async move {
            driver.evict(remote, instead, Bump { chain, tail }).await.map(|mark| (mark, ()))
        });
        self.outcome(cache, sent.await)
    }

    /// Clears the cache everywhere; memory here is rid of it already. One round trip, whatever its size.
    pub(in crate::cache) async fn clear(&self, cache: &Inner<K, V>) -> Result<Evicted, Error> {
        let body = Body::Clear(Arc::clone(&self.name));
        let tail = self.fleet.tail(&body);
        let (driver, name, tail) = (&self.fleet.driver, &*self.name, &tail);
        let sent = self.fleet.invalidate(Partition::Meta, body, Vec::new(), |chain| async move {
            driver.clear(name, Bump { chain, tail }).await.map(|mark| (mark, ()))
        });
        self.outcome(cache, sent.await)
    }

    /// Puts a value; with `intent`, only if nothing has touched the key since that was planted, and else the key is absent.
    pub(in crate::cache) async fn put(
        &self,
        cache: &Arc<Inner<K, V>>,
        key: Stored<K>,
        value: &V,
        said: Said,
        intent: Option<&[u8]>,
    ) -> Result<Evicted, Error> {
        let Some(text) = self.spell(&key.key) else {
            cache.meter.count(Event::Unspellable);
            return Ok(Evicted::Acknowledged);
        };
        let start = cache.clock.now_precise();
        let reading = self.reading().await.filter(|_| cache.wants(View::Value(value), said));
        let record = reading.and_then(|(_, born)| {
            let stamp = Stamp { version: nonce(), ends_at: 0, epoch: born.epoch, born: born.clock, tags: &[] };
            let encoded = self.options.wire.encode(&text, Some(value), &stamp);
            encoded
                .inspect_err(|why| {
                    cache.meter.count(Event::Unencodable);
                    tracing::warn!(cache = %cache.name, key = %cache.digest(&key), %why, "a value was not sent");
                })
                .ok()
        });
        let Some(record) = record else {
            // What was there is gone all the same.
            return self.evict(cache, vec![key]).await;
        };
        let (ends, moving) = cache.rules.lifetime(View::Value(value), start, 0, said.lifetime);
        let lives = lives(ends, moving, start);
        let own = self.place.key(&text);
        let others: Vec<_> = self.place.keys_to_evict(&text).filter(|other| *other != own).collect();
        let body = self.body(std::slice::from_ref(&text));
        let tail = self.fleet.tail(&body);
        let doomed: Box<dyn Doomed> = Box::new(Entry { cache: Arc::clone(cache), key, removed: Removed::default() });
        let (driver, own, others, record, tail) = (&self.fleet.driver, &own, &others, &record, &tail);
        let sent = self.fleet.invalidate(Partition::Keys, body, vec![doomed], |chain| async move {
            driver.put(own, others, intent, record, lives, Bump { chain, tail }).await
        });
        self.outcome(cache, sent.await)
    }

    /// Keeps everybody from filling a key until the write that begins now has ended. Returns what was planted.
    pub(in crate::cache) async fn intend(
        &self,
        cache: &Arc<Inner<K, V>>,
        key: &Stored<K>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (texts, doomed) = self.spelled(cache, std::iter::once(key.clone()));
        if texts.is_empty() {
            return Ok(None);
        }
        let intent = self.intent();
        let evicted = self.remove(cache, &texts, doomed, Some((&intent[..], WRITE_LEASE))).await?;
        Ok((evicted == Evicted::Acknowledged).then_some(intent))
    }

    /// Takes an intent away: the write did not happen.
    pub(in crate::cache) fn withdraw(&self, key: &K, intent: Vec<u8>) {
        if let Some(text) = self.spell(key) {
            self.fleet.give_back(self.place.key(&text).into(), intent.into(), Vec::new());
        }
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

    fn outcome<T>(&self, cache: &Inner<K, V>, sent: Result<T, Fault>) -> Result<Evicted, Error> {
        match sent {
            Ok(_) => Ok(Evicted::Acknowledged),
            Err(fault) => {
                cache.meter.count(Event::RemoteFault);
                match self.options.on_outage {
                    OnOutage::Queue => Ok(Evicted::Deferred),
                    OnOutage::Fail => Err(Error::Outage { cache: cache.name.clone(), reason: fault.to_string() }),
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
                doomed.push(Box::new(Entry { cache: Arc::clone(cache), key, removed: Removed::default() }));
            }
        }
        (texts, doomed)
    }

    fn body(&self, texts: &[KeyText]) -> Body {
        let text = |text: &KeyText| Text { cache: Arc::clone(&self.name), key: Arc::from(text.as_str().as_bytes()) };
        Body::Keys(texts.iter().map(text).collect())
    }

    /// What stands in the place of an evicted key while replicas may lag.
    fn tombstone(&self) -> Option<Vec<u8>> {
        (!self.options.settle.is_zero()).then(|| self.intent())
    }

    fn intent(&self) -> Vec<u8> {
        Lease { nonce: nonce(), node: self.fleet.id, purpose: Purpose::Write, awaited: false }.encode_intent().to_vec()
    }
}
