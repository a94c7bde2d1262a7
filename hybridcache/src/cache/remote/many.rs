//! Several keys at once.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::time::Duration;
use std::vec;

use futures_util::stream::{self, Buffered, Collect, Iter, StreamExt as _};

use super::lead::{Filling, Grant, Loaded};
use super::{DEGRADED, Remote};
use crate::cache::Inner;
use crate::cache::context::Said;
use crate::cache::flight::Leader;
use crate::cache::inner::Batch;
use crate::cache::keep::replace;
use crate::cache::read::Keep;
use crate::entry::{Entry, View};
use crate::key::Stored;
use crate::key::text::KeyText;
use crate::memory::Removed;
use crate::observe::Event;

/// How many keys are on their way at a time: about as many commands as a connection has under way.
const TOGETHER: usize = 1_024;

/// Drives what is to be done for each of many keys, and returns what it came to, in their order.
///
/// Not all at once: an executor stops whoever has had a hundred answers, and looks at all that wait whenever it goes on. For a hundred
/// thousand keys that would be a hundred million looks.
pub(in crate::cache) fn for_each_key<F: Future>(work: impl Iterator<Item = F>) -> InOrder<F> {
    // Made here: whoever holds what makes them while it waits is not known to be `Send`.
    stream::iter(work.collect::<Vec<_>>()).buffered(TOGETHER).collect()
}

type InOrder<F> = Collect<Buffered<Iter<vec::IntoIter<F>>>, Vec<<F as Future>::Output>>;

/// A key that memory does not have, and its place among the keys that were asked for.
struct Missing<'f, K: Eq + Hash, V> {
    at: usize,
    key: Stored<K>,
    /// What allows memory to keep its value, if that keeps any; and the place among other batches.
    leader: Option<(Leader<'f, K, V>, u64)>,
    /// How it is spelled, if it can be, and what may be done with its value.
    text: Option<KeyText>,
    grant: Grant,
}

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// All that memory lacks is asked for at once, one load brings what the remote tier lacks, and all of that is filled at
    /// once: two round trips for a thousand keys ([`TOGETHER`]).
    pub(in crate::cache) async fn load_many_remotely<E, F, Fut>(
        &self,
        remote: &Remote<K, V>,
        Batch { found, missing: absent, .. }: &mut Batch<K, V>,
        loader: F,
    ) -> Result<(), E>
    where
        F: FnOnce(Vec<K>) -> Fut,
        Fut: Future<Output = Result<HashMap<K, V>, E>>,
    {
        let absent = std::mem::take(absent);
        let generation = self.generation();
        // Each key has a flight, so that what a later load keeps, or is kept from keeping by a write, is not replaced by what this
        // one brings (R7, R10). Only batches share it: others are not to wait for a load of keys they did not ask for.
        let mut removed = Removed::default();
        let leaders: Vec<_> = absent
            .iter()
            .map(|(_, key)| remote.keeps().then(|| self.shards.enter_batch(key.clone(), generation, &mut removed)))
            .collect();
        self.release_each(removed);
        let texts: Vec<_> = absent.iter().map(|(_, key)| remote.spell(&key.key)).collect();
        let claims = for_each_key(texts.iter().map(async |text| match text {
            // Others are not waited for: a batch is not coalesced.
            Some(text) => Some(remote.claim(text, false, Duration::ZERO, &self.meter).await),
            None => None,
        }))
        .await;
        let mut missing = Vec::new();
        for ((((at, key), leader), text), claim) in absent.into_iter().zip(leaders).zip(texts).zip(claims) {
            let granted = claim.map(|claim| self.granted(claim)).unwrap_or_else(|| {
                self.meter.count(Event::Unspellable);
                ControlFlow::Continue(Grant::Nothing)
            });
            match granted {
                ControlFlow::Break(hit) => {
                    self.meter.count(Event::RemoteHit);
                    self.renew(remote, &key.key, &hit);
                    let terms = self.terms_of_hit(remote, &key.key, &hit);
                    found[at].clone_from(&hit.value);
                    self.keep(&key, leader, terms.map(|terms| Entry { kept: hit.value.into(), terms }));
                }
                ControlFlow::Continue(grant) => missing.push(Missing { at, key, leader, text, grant }),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let keys = missing.iter().map(|missing| missing.key.key.clone()).collect();
        let (start, loaded) = self.run(None, None, || Box::pin(loader(keys)), Result::is_err).await;
        let loaded = loaded?;
        let fills = missing.into_iter().filter_map(|Missing { at, key, leader, text, grant }| {
            let value = loaded.get(&key.key);
            found[at] = value.cloned();
            let (view, said) = (View::from(value), Said::default());
            let keep = match (text, grant) {
                (Some(text), Grant::Fill(right)) if value.is_some() || self.rules.cache_none => {
                    return Some((key, leader, text, right, value));
                }
                // In an outage. Beside the load of another this one may be the older, and is not waited for.
                (_, Grant::Briefly(DEGRADED)) => self.keep_briefly(remote, Loaded { view, start, said }, DEGRADED),
                (_, Grant::Fill(_) | Grant::Briefly(_) | Grant::Nothing) => Keep::No,
            };
            let terms = match keep {
                Keep::Until { deadline, moving, mark } => {
                    self.terms_until(&key.key, view, deadline, moving, generation | mark, said)
                }
                Keep::ByRules | Keep::No => None,
            };
            self.keep(&key, leader, terms.map(|terms| Entry { kept: value.cloned().into(), terms }));
            None
        });
        let fills: Vec<_> = fills.collect();
        for_each_key(fills.into_iter().map(async |(key, leader, text, right, value)| {
            let view = View::from(value);
            let filling = self.fill(remote, &key, &text, right, Loaded { view, start, said: Said::default() }).await;
            let terms = match filling {
                Filling::Kept(deadline, moving) | Filling::Unsent(deadline, moving) if leader.is_some() => {
                    self.terms_until(&key.key, view, deadline, moving, generation, Said::default())
                }
                _ => None,
            };
            self.keep(&key, leader, terms.map(|terms| Entry { kept: value.cloned().into(), terms }));
        }))
        .await;
        Ok(())
    }

    /// Ends what a batch does for one key.
    ///
    /// Interleaving that this defeats where nothing is to be kept: an older batch keeps v0, or is about to; this one returns v1, and
    /// has no right to keep it; the next hit gets v0 (R10). And where memory keeps nothing: a load asks and finds v0; this one asks, and
    /// returns v1; the next call joins the load.
    fn keep(&self, key: &Stored<K>, leader: Option<(Leader<'_, K, V>, u64)>, entry: Option<Entry<V>>) {
        let Some((leader, place)) = leader else { return self.shards.lock(key.hash).table.detach(key) };
        self.supersede(&leader);
        let mut removed = Removed::default();
        leader.land_batch(place, self.generation(), |key, memory| replace(memory, key, entry, &mut removed));
        self.release(&removed);
    }
}
