//! Sliding lifetimes: the remote tier grants them, memory lives on what it granted.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::Instrument as _;

use super::Remote;
use super::claim::Hit;
use crate::cache::Inner;
use crate::entry::{Kept, Movement, Renewal, Side};
use crate::key::Key;
use crate::nonce::Nonce;
use crate::time::{NEVER, deadline, nanos};

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A hit of a cache whose entries slide.
    // Within `hit` all of this would have its place on the stack of every hit.
    #[inline(never)]
    pub(in crate::cache) fn hit_sliding<Q: Key<Owned = K>>(
        &self,
        remote: &Remote<K, V>,
        hash: u64,
        key: &Q,
        generation: u32,
        now: u64,
    ) -> Option<Option<V>> {
        match self.look_sliding(remote, hash, key, generation, now)?.0 {
            Kept::Value(value) => Some(Some(value)),
            Kept::Nothing => Some(None),
            // Found on the way of a miss, which knows how errors are shared.
            Kept::Failed(_) => None,
        }
    }

    /// A look into a cache whose entries slide. Once half of what was granted has passed, the first hit has it renewed in the
    /// background: one round trip for all hits of half a lifetime.
    pub(in crate::cache) fn look_sliding<Q: Key<Owned = K>>(
        &self,
        remote: &Remote<K, V>,
        hash: u64,
        key: &Q,
        generation: u32,
        now: u64,
    ) -> Option<(Kept<V>, Option<Arc<Side>>)> {
        let (kept, side) = self.shards.look(hash, key, generation, now)?;
        if let Some(side) = &side
            && let Some(version) = side.take_renewal(now)
        {
            let (side, lag) = (Arc::clone(side), self.lag);
            remote.touch(&key.to_owned_key(), version, self.rules.idle, move |asked, lives| {
                side.renewed(&granted(asked, lives, lag, version, NEVER));
            });
        }
        Some((kept, side))
    }

    /// A hit in the remote tier. What slides is renewed there by the first of them in each quarter of what is granted, once half of
    /// that has passed.
    pub(super) fn renew(&self, remote: &Remote<K, V>, key: &K, hit: &Hit<V>) {
        let idle = self.rules.idle;
        if hit.value.is_some() && idle != NEVER && hit.remaining.is_some_and(|remaining| nanos(remaining) <= idle / 2) {
            let quarter = hit.asked / (idle / 4).max(1);
            let renewal = hit.version as u64 ^ quarter;
            let last = &remote.renewals[hit.version as usize % remote.renewals.len()];
            if last.swap(renewal, Ordering::Relaxed) != renewal {
                remote.touch(key, hit.version, idle, |_, _| {});
            }
        }
    }
}

impl<K, V> Remote<K, V> {
    /// Has an entry renewed where it was granted; `then` hears for how long, and since when. Should that fail, it ends when it would
    /// have ended.
    fn touch(&self, key: &K, version: Nonce, idle: u64, then: impl FnOnce(u64, u64) + Send + 'static) {
        let Some(text) = self.spell(key) else { return };
        let (fleet, key) = (Arc::clone(&self.fleet), self.place.key(&text));
        let touch = async move {
            let asked = fleet.clock.now_precise();
            if let Ok(Some(granted)) = fleet.driver.touch(&key, version, Duration::from_nanos(idle)).await {
                then(asked, nanos(granted));
            }
        };
        self.fleet.run_later(touch.instrument(self.span("touch")));
    }
}

/// How a lifetime moves in memory that the remote tier granted for `granted` from `asked` on, and that is reloaded from
/// `refresh_at` on.
pub(super) fn granted(asked: u64, granted: u64, lag: u64, version: Nonce, refresh_at: u64) -> Movement {
    let renewal = Some(Renewal { version, at: asked.saturating_add(granted / 2) });
    Movement { idle: 0, idle_deadline: deadline(asked, granted, lag), refresh_at, renewal }
}
