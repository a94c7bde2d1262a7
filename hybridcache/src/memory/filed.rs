//! A key as the store has it, and the ways to ask for one.

use std::cell::Cell;
use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;

use crate::entry::{Movement, Terms};
use crate::key::{Key, Stored};
use crate::time::NEVER;

/// A key with its hash and the terms of its entry. Equal to another of the same key, whatever the terms: the store has
/// one of each.
#[derive(Debug)]
pub(crate) struct Filed<K> {
    pub(crate) key: Stored<K>,
    pub(crate) terms: Terms,
}

impl<K> Hash for Filed<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.key.hash);
    }
}

impl<K: Eq> PartialEq for Filed<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Eq> Eq for Filed<K> {}

/// Finds the entry of a key, dead or alive.
pub(crate) struct Any<'q, Q> {
    pub(crate) hash: u64,
    pub(crate) key: &'q Q,
}

impl<Q> Hash for Any<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<Q: Key> Equivalent<Filed<Q::Owned>> for Any<'_, Q> {
    fn equivalent(&self, filed: &Filed<Q::Owned>) -> bool {
        self.hash == filed.key.hash && self.key.matches(&filed.key.key)
    }
}

/// Finds the entry of a key if it may be served at `now`, which is read before the lookup: within, it would be read
/// under the shard's lock, and the comparison would be too long to be inlined. With `HIT` it is one: a sliding lifetime
/// is renewed.
pub(crate) struct Live<'q, Q, const HIT: bool> {
    pub(crate) hash: u64,
    pub(crate) key: &'q Q,
    pub(crate) generation: u32,
    pub(crate) now: u64,
}

impl<Q, const HIT: bool> Hash for Live<'_, Q, HIT> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<Q: Key, const HIT: bool> Equivalent<Filed<Q::Owned>> for Live<'_, Q, HIT> {
    #[inline]
    fn equivalent(&self, filed: &Filed<Q::Owned>) -> bool {
        if self.hash != filed.key.hash || !self.key.matches(&filed.key.key) {
            return false;
        }
        if HIT {
            filed.terms.is_live_and_renewed(self.generation, self.now)
        } else {
            filed.terms.is_live(self.generation, self.now)
        }
    }
}

/// A hit that also asks for the moving part of the lifetime, and for the deadline.
pub(crate) struct Moved<'q, Q> {
    pub(crate) live: Live<'q, Q, true>,
    pub(crate) moving: Cell<Option<Movement>>,
}

impl<Q> Hash for Moved<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.live.hash(state);
    }
}

impl<Q: Key> Equivalent<Filed<Q::Owned>> for Moved<'_, Q> {
    fn equivalent(&self, filed: &Filed<Q::Owned>) -> bool {
        let live = self.live.equivalent(filed);
        if live {
            self.moving.set(filed.terms.moving.clone().map(|moving| (moving, filed.terms.deadline)));
        }
        live
    }
}

/// Finds a dead entry by its hash, which is all that the expiry wheel remembers. Of one that lives, it notes under
/// which deadline it is to be filed from here on.
pub(crate) struct Expired {
    pub(crate) hash: u64,
    pub(crate) now: u64,
    pub(crate) refile: Cell<Option<u64>>,
}

impl Hash for Expired {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K> Equivalent<Filed<K>> for Expired {
    fn equivalent(&self, filed: &Filed<K>) -> bool {
        if self.hash != filed.key.hash {
            return false;
        }
        let dies_at = filed.terms.dies_at();
        let dead = dies_at <= self.now;
        if !dead && dies_at != NEVER {
            self.refile.set(Some(filed.terms.file()));
        }
        dead
    }
}
