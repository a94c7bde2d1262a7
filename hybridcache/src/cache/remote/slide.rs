//! Sliding lifetimes: the remote tier grants them, memory lives on what it granted.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::Remote;
use crate::cache::Inner;
use crate::entry::{Kept, Movement, Side};
use crate::key::Key;
use crate::nonce::Nonce;
use crate::time::{NEVER, nanos};

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A hit of a cache whose entries slide. Once half of what was granted has passed, the first hit has it renewed in the
    /// background: one round trip for all hits of half a lifetime.
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
        let (kept, side) = self.shards.look(hash, key, generation, now)?;
        if let Some(side) = side
            && side.version != 0
            && side.take_refresh(now)
        {
            remote.touch(&key.to_owned_key(), side, self.rules.idle, self.lag);
        }
        match kept {
            Kept::Value(value) => Some(Some(value)),
            Kept::Nothing => Some(None),
            // Found on the way of a miss, which knows how errors are shared.
            Kept::Failed(_) => None,
        }
    }
}

impl<K, V> Remote<K, V> {
    /// Has an entry renewed where it was granted. Should that fail, it ends when it would have ended.
    fn touch(&self, key: &K, side: Arc<Side>, idle: u64, lag: u64) {
        let Some(text) = self.spell(key) else { return };
        let (fleet, key) = (Arc::clone(&self.fleet), self.place.key(&text));
        self.fleet.run_later(async move {
            let asked = fleet.clock.now_precise();
            if let Ok(Some(granted)) = fleet.driver.touch(&key, side.version, Duration::from_nanos(idle)).await {
                let granted = nanos(granted);
                let ends = asked.saturating_add(granted).saturating_sub(lag);
                side.renewed(ends, asked.saturating_add(granted / 2));
            }
        });
    }
}

/// How a lifetime moves in memory that the remote tier granted for `granted` from `asked` on.
pub(super) fn granted(asked: u64, granted: u64, lag: u64, version: Nonce) -> Movement {
    let ends = if granted == NEVER { NEVER } else { asked.saturating_add(granted).saturating_sub(lag) };
    Movement { idle: 0, idle_deadline: ends, refresh_at: asked.saturating_add(granted / 2), version }
}
