//! The shards of a cache: what one lock guards, and the looks for which it is shared.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::flight::Seat;
use crate::coherence::Table;
use crate::entry::{Kept, Side};
use crate::key::Key;
use crate::memory::Shard;
use crate::sync::{AtomicU64, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The flights and the memory of one cache, in shards with a lock each. A hit shares its shard's lock with its neighbours; a
/// write has it alone, for a few hundred nanoseconds. parking_lot sees to it that no stream of one kind starves the other.
pub(crate) struct Shards<K, V> {
    shards: Box<[Apart<K, V>]>,
    /// How many tickets were drawn: each begins a period, and a write is told by its period whether it came before a
    /// ticket. So a write reads what all of them share, and only a ticket writes it.
    period: AtomicU64,
}

// Neighbouring cache lines are fetched in pairs: two of them apart. A lock is written to by each hit.
#[repr(align(128))]
struct Apart<K, V>(RwLock<Locked<K, V>>);

/// What one lock guards: what is done while it is held alone is one step to all others of the shard's keys.
// In this order, here and in the table and the shard: what each write notes stands behind the lock, and what each miss touches at the
// table's end, where memory begins. Each line of it may be in another core's cache.
#[repr(C)]
pub(crate) struct Locked<K, V> {
    pub(crate) table: Flying<K, V>,
    pub(crate) memory: Shard<K, V>,
}

/// The flights and writes of a shard.
pub(crate) type Flying<K, V> = Table<K, Arc<Seat<V>>>;

impl<K, V> Shards<K, V> {
    /// As many as there are parts of memory, a power of two.
    pub(crate) fn new(memory: Vec<Shard<K, V>>) -> Self {
        let locked = |memory| Apart(RwLock::new(Locked { memory, table: Table::default() }));
        Self { shards: memory.into_iter().map(locked).collect(), period: AtomicU64::new(0) }
    }

    /// By bits that choose no place within a shard.
    #[inline]
    fn of(&self, hash: u64) -> &RwLock<Locked<K, V>> {
        &self.shards[hash.rotate_right(usize::BITS / 2) as usize & (self.shards.len() - 1)].0
    }

    #[inline]
    pub(crate) fn lock(&self, hash: u64) -> RwLockWriteGuard<'_, Locked<K, V>> {
        self.of(hash).write()
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = &RwLock<Locked<K, V>>> {
        self.shards.iter().map(|Apart(shard)| shard)
    }

    /// The period of a write that is made now.
    pub(crate) fn period(&self) -> u64 {
        self.period.load(Ordering::SeqCst)
    }

    /// Begins a period. In the one order of these two operations a write either has read an older one, and was before the
    /// ticket, or it is seen by [`Table::written_since`].
    pub(crate) fn ticket(&self) -> u64 {
        self.period.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl<K, V> Shards<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// [`Shard::hit`].
    #[inline]
    pub(crate) fn hit<Q: Key<Owned = K>, S>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Option<Option<V>> {
        let shard = self.of(hash).read();
        if shard.memory.notes_hits() {
            return self.noted_hit(shard, hash, key, generation, now);
        }
        shard.memory.hit::<_, S>(hash, key, generation, now, &mut false)
    }

    /// A hit that may leave something to settle. Within [`hit`](Self::hit) it would have its place on the stack of all.
    #[inline(never)]
    fn noted_hit<Q: Key<Owned = K>>(
        &self,
        shard: RwLockReadGuard<'_, Locked<K, V>>,
        hash: u64,
        key: &Q,
        generation: u32,
        now: u64,
    ) -> Option<Option<V>> {
        let mut unsettled = false;
        let found = shard.memory.hit::<_, ()>(hash, key, generation, now, &mut unsettled);
        drop(shard);
        if unsettled {
            self.settle(hash);
        }
        found
    }

    /// [`Shard::look`].
    pub(crate) fn look<Q: Key<Owned = K>>(
        &self,
        hash: u64,
        key: &Q,
        generation: u32,
        now: u64,
    ) -> Option<(Kept<V>, Option<Arc<Side>>)> {
        let mut unsettled = false;
        let found = self.of(hash).read().memory.look(hash, key, generation, now, &mut unsettled);
        if unsettled {
            self.settle(hash);
        }
        found
    }

    /// Unless somebody is there: whoever writes settles, too.
    fn settle(&self, hash: u64) {
        if let Some(mut shard) = self.of(hash).try_write() {
            shard.memory.settle();
        }
    }

    /// [`Shard::peek`].
    pub(crate) fn peek<Q: Key<Owned = K>>(&self, hash: u64, key: &Q, generation: u32, now: u64) -> Option<Option<V>> {
        self.of(hash).read().memory.peek(hash, key, generation, now)
    }

    pub(crate) fn len(&self) -> u64 {
        self.each().map(|shard| shard.read().memory.len()).sum()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.each().map(|shard| shard.read().memory.weight()).sum()
    }
}
