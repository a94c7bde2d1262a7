//! What may be asked of a node. Nothing of it changes anything.

use super::{Node, Partition};
use crate::coherence::floors::{Born, Floors, Verdict};
use crate::coherence::node::Mark;
use crate::coherence::token::{ConsistencyToken, Seen};

impl Node {
    /// To be read when a command is sent and compared when its reply arrives: a reply of another generation is an error, and its
    /// callers look again (R12).
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether memory may be served at `now`, as the clock of a hit shows it (R6).
    #[cfg(test)]
    pub(crate) fn is_synced(&self, now: u64) -> bool {
        self.told != 0 && now <= self.told.saturating_add(self.timing.fresh_for).saturating_sub(self.timing.lag)
    }

    /// R8: a flight may be joined if it began at this instant or later.
    #[cfg(test)]
    pub(crate) fn horizon(&self, now: u64) -> u64 {
        if self.is_synced(now) { 0 } else { now.saturating_sub(self.timing.fresh_for) }
    }

    /// When a record is born whose load begins now (R14). `None` if what is known of the meta partition is too old, and may be of a
    /// past that is no more: load the floors first.
    pub(crate) fn born(&self, now: u64) -> Option<Born> {
        let floors = self.floors.as_ref().filter(|_| self.knows_floors(now))?.mark();
        let newer = |meta: &Mark| floors.epoch == meta.epoch && floors.number <= meta.number;
        Some(Born::at(self.meta().mark().filter(newer).unwrap_or(floors)))
    }

    /// R14: whether a record may be used that a remote tier holds.
    pub(crate) fn judge(&self, born: Born, cache: &str, now: u64) -> Verdict {
        match &self.floors {
            Some(floors) if self.knows_floors(now) => floors.judge(born, cache),
            _ => Verdict::Unknown,
        }
    }

    /// Whether the floors hold every clear that was acknowledged until lately.
    fn knows_floors(&self, now: u64) -> bool {
        let synced_at = if self.has_floors() { self.buses[Partition::Meta as usize].synced_at } else { 0 };
        let known_at = self.floors.as_ref().map_or(0, Floors::asked).max(synced_at);
        now <= known_at.saturating_add(self.timing.fresh_for)
    }

    /// Whether an eviction of this key has yet to be sent, by this node or by whoever sent it before a failover lost it. What the
    /// remote tier holds of it may be older than what this node wrote or heard of: it is to be loaded without the right to fill.
    ///
    /// Interleaving that the second defeats: this node hears of an eviction; its sender dies; the server comes back from an old
    /// copy, with the old value in it; this node joins, and is in step; it reads the key, keeps the old value, and serves it until
    /// it repeats the eviction itself.
    pub(crate) fn owes(&self, cache: &str, key: &[u8]) -> bool {
        self.owed.owes(cache, key) || self.others.owes(cache, key)
    }

    /// Whether anything has yet to be sent.
    pub(crate) fn is_owing(&self) -> bool {
        !self.owed.is_empty()
    }

    /// How many keys, and caches of which everything goes, have yet to be sent.
    #[cfg(feature = "redis")]
    pub(crate) fn owing(&self) -> usize {
        self.owed.len()
    }

    /// Whether the invalidations that a token names are known to be in effect here. Not if one is of another epoch: the fleet began to
    /// count anew since, or this node has yet to hear of it.
    pub(crate) fn has_seen(&self, token: ConsistencyToken) -> bool {
        token.named().all(|(partition, Seen { epoch, number })| {
            let mark = self.buses[partition as usize].history.mark();
            mark.is_some_and(|mark| mark.epoch == epoch && mark.number >= number)
        })
    }

    /// Of a token of this node's own what its fleet has not begun to count anew since: nobody waits for the rest.
    pub(crate) fn current(&self, token: ConsistencyToken) -> Option<ConsistencyToken> {
        token.retain(|partition, seen| {
            let mark = self.buses[partition as usize].history.mark();
            mark.is_none_or(|mark| mark.epoch == seen.epoch)
        })
    }
}
