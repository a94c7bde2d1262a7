//! A key as the store has it, and the ways to ask for one.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use quick_cache::Equivalent;

use super::wheel::{NOWHERE, Place};
use crate::entry::{Entry, Kept, Side, Terms};
use crate::key::{Key, Stored};

/// A key with its hash and the life of its entry. Equal to another of the same key, whatever the life: the store has
/// one of each.
///
/// The life stands beside the key and not beside the value, because a lookup judges it where it finds the key: an entry
/// that is dead is not found, and a hit clones nothing but the value.
#[derive(Debug)]
pub(crate) struct Filed<K> {
    pub(crate) key: Stored<K>,
    pub(crate) life: Life,
}

/// Two variants of one shape, so that the tag shares a word with the numbers: an entry of the store is a cache line, where
/// key and value are a word each.
#[derive(Debug)]
pub(crate) enum Life {
    Plain { generation: u32, weight: u32, place: Place, deadline: u64 },
    Sided { generation: u32, weight: u32, place: Place, side: Arc<Side> },
}

impl<K> Filed<K> {
    /// What the store keeps of an entry: `None` stands for a `None` of the function's, and for an error, which is
    /// beside the key.
    pub(crate) fn new<V>(key: Stored<K>, entry: Entry<V>, place: Place) -> (Self, Option<V>) {
        let Terms { deadline, moving, generation, weight } = entry.terms;
        let (value, failure) = match entry.kept {
            Kept::Value(value) => (Some(value), None),
            Kept::Nothing => (None, None),
            Kept::Failed(failure) => (None, Some(failure)),
        };
        let life = if moving.is_some() || failure.is_some() {
            Life::Sided { generation, weight, place, side: Arc::new(Side::new(deadline, moving.as_deref(), failure)) }
        } else {
            Life::Plain { generation, weight, place, deadline }
        };
        (Self { key, life }, value)
    }
}

impl Life {
    pub(crate) fn generation(&self) -> u32 {
        match *self {
            Self::Plain { generation, .. } | Self::Sided { generation, .. } => generation,
        }
    }

    pub(crate) fn weight(&self) -> u32 {
        match *self {
            Self::Plain { weight, .. } | Self::Sided { weight, .. } => weight,
        }
    }

    fn place(&self) -> Place {
        match *self {
            Self::Plain { place, .. } | Self::Sided { place, .. } => place,
        }
    }

    /// Where the expiry wheel has an entry, and by which end it was filed there, if that has not moved since.
    #[inline]
    pub(crate) fn filed(&self) -> Option<(Place, u64)> {
        match *self {
            Self::Plain { place, deadline, .. } if place != NOWHERE => Some((place, deadline)),
            Self::Plain { .. } | Self::Sided { .. } => None,
        }
    }

    /// Where the expiry wheel has the entry; from here on it is to be given back by the caller.
    pub(crate) fn take_place(&mut self) -> Place {
        match self {
            Self::Plain { place, .. } | Self::Sided { place, .. } => std::mem::replace(place, NOWHERE),
        }
    }

    /// When the entry is dead, as things stand.
    pub(crate) fn dies_at(&self) -> u64 {
        match self {
            Self::Plain { deadline, .. } => *deadline,
            Self::Sided { side, .. } => side.dies_at(),
        }
    }

    /// Whether the entry may be served in this generation, at this time.
    #[inline]
    pub(crate) fn is_live(&self, generation: u32, now: u64) -> bool {
        self.generation() == generation && now < self.dies_at()
    }

    /// [`is_live`](Self::is_live) for a hit: a sliding lifetime is renewed.
    #[inline]
    fn is_live_and_renewed(&self, generation: u32, now: u64) -> bool {
        self.generation() == generation
            && match self {
                Self::Plain { deadline, .. } => now < *deadline,
                Self::Sided { side, .. } => side.is_live_and_renewed(now),
            }
    }

    fn side(&self) -> Option<&Arc<Side>> {
        match self {
            Self::Plain { .. } => None,
            Self::Sided { side, .. } => Some(side),
        }
    }

    fn failed(&self) -> bool {
        self.side().is_some_and(|side| side.failure().is_some())
    }
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
pub(crate) struct Any<Q> {
    pub(crate) hash: u64,
    pub(crate) key: Q,
}

impl<Q> Hash for Any<Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<Q: Key> Equivalent<Filed<Q::Owned>> for Any<Q> {
    #[inline]
    fn equivalent(&self, filed: &Filed<Q::Owned>) -> bool {
        self.hash == filed.key.hash && self.key.matches(&filed.key.key)
    }
}

/// Finds the entry of a key if it may be served at `now`, which is read before the lookup: within, it would be read
/// under the shard's lock, and the comparison would be too long to be inlined. With `HIT` it is one: a sliding lifetime
/// is renewed. Errors are not found: a hit knows nothing of them.
///
/// `S` is of no use but to be another for each annotated function: a lookup that is compiled for one caller alone becomes part
/// of it, which saves a tenth of the instructions of a hit.
pub(crate) struct Live<Q, const HIT: bool, S = ()> {
    pub(crate) any: Any<Q>,
    pub(crate) generation: u32,
    pub(crate) now: u64,
    pub(crate) site: PhantomData<S>,
}

impl<Q, const HIT: bool, S> Hash for Live<Q, HIT, S> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.any.hash(state);
    }
}

impl<Q: Key, const HIT: bool, S> Equivalent<Filed<Q::Owned>> for Live<Q, HIT, S> {
    #[inline]
    fn equivalent(&self, filed: &Filed<Q::Owned>) -> bool {
        let life = &filed.life;
        self.any.equivalent(filed)
            && if HIT {
                life.is_live_and_renewed(self.generation, self.now)
            } else {
                life.is_live(self.generation, self.now)
            }
            && !life.failed()
    }
}

/// A hit of whatever is kept, errors included, which also notes what there is beside the key.
pub(crate) struct Closer<Q> {
    pub(crate) any: Any<Q>,
    pub(crate) generation: u32,
    pub(crate) now: u64,
    pub(crate) side: Cell<Option<Arc<Side>>>,
}

impl<Q> Hash for Closer<Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.any.hash(state);
    }
}

impl<Q: Key> Equivalent<Filed<Q::Owned>> for Closer<Q> {
    #[inline]
    fn equivalent(&self, filed: &Filed<Q::Owned>) -> bool {
        let live = self.any.equivalent(filed) && filed.life.is_live_and_renewed(self.generation, self.now);
        if live {
            self.side.set(filed.life.side().cloned());
        }
        live
    }
}

/// Finds the entry of a key, dead or alive, and notes its place in the expiry wheel.
pub(crate) struct Going<Q> {
    pub(crate) any: Any<Q>,
    pub(crate) place: Cell<Place>,
}

impl<Q> Hash for Going<Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.any.hash(state);
    }
}

impl<Q: Key> Equivalent<Filed<Q::Owned>> for Going<Q> {
    #[inline]
    fn equivalent(&self, filed: &Filed<Q::Owned>) -> bool {
        let found = self.any.equivalent(filed);
        if found {
            self.place.set(filed.life.place());
        }
        found
    }
}

/// Finds the owner of a place in the expiry wheel if it is dead. If it lives, this notes until when.
pub(crate) struct Expired {
    pub(crate) hash: u64,
    pub(crate) place: Place,
    pub(crate) now: u64,
    pub(crate) lives_until: Cell<Option<u64>>,
}

impl Hash for Expired {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K> Equivalent<Filed<K>> for Expired {
    fn equivalent(&self, filed: &Filed<K>) -> bool {
        if self.hash != filed.key.hash || self.place != filed.life.place() {
            return false;
        }
        let dies_at = filed.life.dies_at();
        let dead = dies_at <= self.now;
        if !dead {
            self.lives_until.set(Some(dies_at));
        }
        dead
    }
}
