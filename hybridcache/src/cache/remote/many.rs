//! Several keys at once.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use futures_util::future::join_all;

use super::Remote;
use super::claim::{Claim, Right};
use super::lead::{Filling, Loaded};
use crate::cache::Inner;
use crate::cache::context::Said;
use crate::cache::inner::Batch;
use crate::entry::{Entry, Kept, View};
use crate::key::Stored;
use crate::key::text::KeyText;
use crate::observe::Event;

/// A key that memory does not have, and its place among the keys that were asked for.
struct Missing<K> {
    at: usize,
    key: Stored<K>,
    /// What allows its value to be filled, if anything does.
    right: Option<(KeyText, Right)>,
}

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// All that memory lacks is asked for at once, one load brings what the remote tier lacks, and all of that is filled at
    /// once: two round trips, whatever the number of keys.
    pub(in crate::cache) async fn get_many_or_load_remotely<E, F, Fut>(
        &self,
        remote: &Remote<K, V>,
        Batch { ticket, generation, mut found, missing: absent }: Batch<K, V>,
        loader: F,
    ) -> Result<Vec<Option<V>>, E>
    where
        F: FnOnce(Vec<K>) -> Fut,
        Fut: Future<Output = Result<HashMap<K, V>, E>>,
    {
        if remote.keeps() {
            for (_, key) in &absent {
                // A batch leads no flight that would do it: the one that is under way may not fill any more, and nothing that it may
                // have filled just before stays.
                self.shards.lock(key.hash).table.retire(key);
                self.retire(key);
            }
        }
        let texts: Vec<_> = absent.iter().map(|(_, key)| remote.spell(&key.key)).collect();
        let claims = join_all(texts.iter().map(async |text| match text {
            // Others are not waited for: a batch is not coalesced.
            Some(text) => remote.claim(text, false, Duration::ZERO, &self.meter).await,
            None => Claim::Theirs,
        }))
        .await;
        let mut missing = Vec::new();
        for (((at, key), text), claim) in absent.into_iter().zip(texts).zip(claims) {
            match claim {
                Claim::Found(hit) if hit.value.is_some() => {
                    self.meter.count(Event::RemoteHit);
                    let terms = self.terms_of_hit(remote, &key.key, &hit);
                    found[at].clone_from(&hit.value);
                    if let (Some(terms), Some(value)) = (terms, hit.value) {
                        let entry = Entry { kept: Kept::Value(value), terms };
                        self.fill_unless_written(key, Some(entry), ticket, generation);
                    }
                }
                Claim::Ours(right) => missing.push(Missing { at, key, right: text.map(|text| (text, right)) }),
                Claim::Found(_) | Claim::Theirs | Claim::Settling | Claim::Outage => {
                    missing.push(Missing { at, key, right: None })
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let keys = missing.iter().map(|missing| missing.key.key.clone()).collect();
        let (start, loaded) = self.run(None, None, || Box::pin(loader(keys)), Result::is_err).await;
        let loaded = loaded?;
        let fills = missing.into_iter().filter_map(|Missing { at, key, right }| {
            let value = loaded.get(&key.key)?;
            found[at] = Some(value.clone());
            right.map(|(text, right)| (key, text, right, value))
        });
        let fills: Vec<_> = fills.collect();
        join_all(fills.into_iter().map(async |(key, text, right, value)| {
            let view = View::Value(value);
            let filling = self.fill(remote, &key, &text, right, Loaded { view, start, said: Said::default() }).await;
            let (Filling::Kept(deadline, moving) | Filling::Unsent(deadline, moving)) = filling else { return };
            if remote.keeps() {
                let terms = self.terms_until(&key.key, view, deadline, moving, generation, Said::default());
                let entry = terms.map(|terms| Entry { kept: Kept::Value(value.clone()), terms });
                self.fill_unless_written(key, entry, ticket, generation);
            }
        }))
        .await;
        Ok(found)
    }
}
