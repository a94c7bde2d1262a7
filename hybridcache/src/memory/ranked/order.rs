//! What a policy has to say.

use std::fmt::Debug;

/// Ranks the slots of a shard: the one part in which the policies differ. It knows slots by their numbers, which are
/// dense, and nothing of what is in them, so that it is compiled once and not for each type of cache.
///
/// All but [`hit`](Self::hit) runs under the shard's write lock, after [`settle`](Self::settle).
pub(super) trait Order: Debug + Send + Sync {
    /// An empty one of the same policy.
    fn anew(&self) -> Box<dyn Order>;

    /// A slot has been hit, under the shard's read lock: others may be in here too. Returns whether
    /// [`settle`](Self::settle) is to be called soon.
    fn hit(&self, slot: u32, hash: u64) -> bool;

    /// Takes the hits into account that were only noted.
    fn settle(&mut self) {}

    /// An entry is about to come that is not there: a miss. If some have to leave for it, then between this and its
    /// [`insert`](Self::insert).
    fn expect(&mut self, _hash: u64) {}

    /// Which entry has to leave for the one that is expected. There is one, and it will leave.
    fn victim(&mut self, hash_of: &dyn Fn(u32) -> u64) -> u32;

    /// The entry that was expected is in this slot: one that [`remove`](Self::remove) has emptied, or one behind all
    /// others.
    fn insert(&mut self, slot: u32, hash: u64);

    /// The entry of this slot leaves. An [`insert`](Self::insert) there or a [`swap_remove`](Self::swap_remove) follows.
    fn remove(&mut self, slot: u32);

    /// The last slot's entry moves into this empty one, and the last slot is no more; or it is itself the empty one.
    fn swap_remove(&mut self, slot: u32);

    /// Checks the structure, and that it has so many slots.
    #[cfg(test)]
    fn validate(&self, len: usize);
}
