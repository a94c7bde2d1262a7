//! Flights, as callers meet them: a seat to wait in, a guard to lead with.

use std::cell::Cell;
use std::future::Future;
use std::hash::Hash;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::vec;

use super::fetch::Tier;
#[cfg(feature = "redis")]
use super::shards::Locked;
use super::shards::Shards;
use crate::coherence::waits::Waits;
use crate::coherence::{Entered, FlightId, Start, Succession};
use crate::entry::Kept;
use crate::key::Stored;
#[cfg(feature = "redis")]
use crate::memory::Removed;
use crate::memory::Shard;
use crate::rt::Within;
use crate::sync::{Mutex, thread_local};

/// The flights that depend on one another. Touched only by calls from inside a body of another cached function.
static WAITS: parking_lot::Mutex<Option<Waits>> = parking_lot::Mutex::new(None);

thread_local! {
    /// The flight whose body this thread is running.
    static FLIGHT: Cell<FlightId> = const { Cell::new(NO_FLIGHT) };
    static NEXT_ID: Cell<FlightId> = const { Cell::new(0) };
}

const NO_FLIGHT: FlightId = 0;

/// What became of a caller that missed.
pub(crate) enum Entry<'f, K: Eq + Hash, V> {
    Lead(Leader<'f, K, V>),
    Wait(Waiting<'f, K, V>),
    Alone,
    /// It found what it had missed.
    Found(Stored<K>, Kept<V>),
}

impl<K: Clone + Eq + Hash, V> Shards<K, V> {
    /// A caller missed `now`: it leads, waits, or is on its own. A flight that began before `horizon` is not joined.
    ///
    /// Before that it takes a second `look`. Interleaving that this defeats: this caller misses, another loads, lands and is gone,
    /// this one finds no flight and loads again what was loaded a moment ago. (groupcache has the same second look.)
    pub(crate) fn enter(
        &self,
        key: Stored<K>,
        generation: u32,
        now: u64,
        horizon: u64,
        blocking: bool,
        look: impl FnOnce(&Shard<K, V>, &Stored<K>) -> Option<Kept<V>>,
    ) -> Entry<'_, K, V> {
        let id = new_id();
        let parent = current_flight();
        let own = key.clone();
        let mut seat = None;
        let mut edge = None;
        let mut shard = self.lock(key.hash);
        if let Some(kept) = look(&shard.memory, &own) {
            return Entry::Found(own, kept);
        }
        let entered = shard.table.enter(
            key,
            Start { id, generation, began: now, blocking },
            horizon,
            |flight| match Edge::unless_cycle(parent, flight) {
                Some(added) => {
                    edge = added;
                    true
                }
                None => false,
            },
            || Arc::clone(seat.insert(Arc::new(Seat(Mutex::new(State::Waiting(None)))))),
        );
        if entered == Entered::Lead {
            drop(shard);
            return Entry::Lead(self.leader(own, id, Edge::add(parent, id)));
        }
        drop(shard);
        match (entered, seat) {
            (Entered::Wait(id), Some(seat)) => Entry::Wait(Waiting { shards: self, key: Some(own), id, seat, edge }),
            _ => Entry::Alone,
        }
    }

    /// Leads a new flight, whoever led before. A batch, or a load beside others, has no flight that this could retire: to
    /// those it is a write.
    pub(crate) fn enter_anew(&self, key: Stored<K>, generation: u32, now: u64, blocking: bool) -> Leader<'_, K, V> {
        let id = new_id();
        let own = key.clone();
        let mut shard = self.lock(key.hash);
        shard.table.note_write(key.hash, self.period());
        shard.table.enter_anew(key, Start { id, generation, began: now, blocking });
        drop(shard);
        self.leader(own, id, Edge::add(current_flight(), id))
    }

    /// Leads a new flight unless somebody leads one.
    pub(crate) fn enter_if_free(
        &self,
        key: Stored<K>,
        generation: u32,
        now: u64,
        blocking: bool,
    ) -> Option<Leader<'_, K, V>> {
        let id = new_id();
        let start = Start { id, generation, began: now, blocking };
        let free = self.lock(key.hash).table.enter_if_free(key.clone(), start);
        free.then(|| self.leader(key, id, None))
    }

    /// A batch loads a key among others; what memory has of it leaves in the same step (R10). Returns its place among batches, too.
    #[cfg(feature = "redis")]
    pub(crate) fn enter_batch(
        &self,
        key: Stored<K>,
        generation: u32,
        removed: &mut Removed<K, V>,
    ) -> (Leader<'_, K, V>, u64)
    where
        K: Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let start = Start { id: new_id(), generation, began: 0, blocking: false };
        let own = key.clone();
        let (id, place) = {
            let Locked { table, memory } = &mut *self.lock(key.hash);
            memory.displace(&key, removed);
            table.enter_batch(key, start)
        };
        (self.leader(own, id, None), place)
    }

    fn leader(&self, key: Stored<K>, id: FlightId, edge: Option<Edge>) -> Leader<'_, K, V> {
        Leader { shards: self, key, id, done: false, _edge: edge }
    }
}

impl<K: Eq + Hash, V> Shards<K, V> {
    /// A leader is gone: the first waiter that is still there takes its place.
    fn hand_over(&self, key: &Stored<K>, id: FlightId) {
        let succession = self.lock(key.hash).table.abandon(key, id);
        self.tell(key, id, succession);
    }

    fn tell(&self, key: &Stored<K>, id: FlightId, Succession { leaders, dismissed }: Succession<Arc<Seat<V>>>) {
        for seat in dismissed {
            seat.offer(State::Again);
        }
        for seat in leaders {
            if !seat.offer(State::Promoted) {
                self.hand_over(key, id);
            }
        }
    }
}

/// The flight whose body makes this call.
fn current_flight() -> FlightId {
    FLIGHT.with(Cell::get)
}

/// A thread takes numbers from a block of its own: one counter for all would travel between the cores.
fn new_id() -> FlightId {
    const BLOCK: FlightId = 1 << 16;
    static BLOCKS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT_ID.with(|next| {
        let mut id = next.get();
        // The first of a block is never given, so that it says that the block before is used up; nor is `NO_FLIGHT`.
        if id % BLOCK == 0 {
            id = BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK + 1;
        }
        next.set(id + 1);
        id
    })
}

/// One flight depends on another while this exists.
pub(crate) struct Edge {
    from: FlightId,
    to: FlightId,
}

impl Edge {
    /// `None` where nothing is led on this thread, so that nothing can wait in a circle.
    fn add(from: FlightId, to: FlightId) -> Option<Self> {
        (from != NO_FLIGHT).then(|| {
            WAITS.lock().get_or_insert_default().add(from, to);
            Self { from, to }
        })
    }

    /// `None` if the wait would never end.
    fn unless_cycle(from: FlightId, to: FlightId) -> Option<Option<Self>> {
        if from == NO_FLIGHT {
            return Some(None);
        }
        let added = WAITS.lock().get_or_insert_default().add_unless_cycle(from, to);
        // Not made for the answer «no»: an edge that is dropped takes one out.
        added.then(|| Some(Self { from, to }))
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if let Some(waits) = WAITS.lock().as_mut() {
            waits.remove(self.from, self.to);
        }
    }
}

/// Where a waiter waits.
pub(crate) struct Seat<V>(Mutex<State<V>>);

enum State<V> {
    Waiting(Option<Waker>),
    /// The flight landed, with what it had from there.
    Landed(Arc<Kept<V>>, Tier),
    /// The flight is this waiter's to lead.
    Promoted,
    /// The flight landed and its result could not be handed out: look again.
    Again,
    /// Nobody sits here any more.
    Gone,
}

impl<V> Seat<V> {
    /// Tells whoever sits here; `false` if nobody does.
    fn offer(&self, state: State<V>) -> bool {
        let waker = {
            let mut seat = self.0.lock();
            match &mut *seat {
                State::Waiting(waker) => {
                    let waker = waker.take();
                    *seat = state;
                    waker
                }
                _ => return false,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

/// What a wait came to.
pub(crate) enum Called<'f, K: Eq + Hash, V> {
    Landed(Arc<Kept<V>>, Tier),
    Lead(Leader<'f, K, V>),
    Again(Stored<K>),
}

/// A wait for somebody else's load.
pub(crate) struct Waiting<'f, K: Eq + Hash, V> {
    shards: &'f Shards<K, V>,
    /// Taken when the wait is over.
    key: Option<Stored<K>>,
    id: FlightId,
    seat: Arc<Seat<V>>,
    edge: Option<Edge>,
}

impl<K: Eq + Hash, V> Unpin for Waiting<'_, K, V> {}

impl<'f, K: Eq + Hash, V> Future for Waiting<'f, K, V> {
    type Output = Called<'f, K, V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let state = {
            let mut seat = this.seat.0.lock();
            if let State::Waiting(waker) = &mut *seat {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
            mem::replace(&mut *seat, State::Gone)
        };
        let key = this.key.take().expect("a wait ends once");
        Poll::Ready(match state {
            State::Landed(kept, tier) => Called::Landed(kept, tier),
            State::Promoted => {
                Called::Lead(Leader { shards: this.shards, key, id: this.id, done: false, _edge: this.edge.take() })
            }
            State::Again | State::Gone | State::Waiting(_) => Called::Again(key),
        })
    }
}

impl<K: Eq + Hash, V> Waiting<'_, K, V> {
    /// Gives the wait up.
    pub(crate) fn leave(mut self) -> Stored<K> {
        self.vacate();
        self.key.take().expect("the wait was not over")
    }

    /// A waiter may leave just when the flight was given to it: it must not take the flight along. Otherwise its seat goes with it,
    /// or the seats of those who gave up would pile up behind a leader that never ends.
    fn vacate(&self) {
        let Some(key) = &self.key else { return };
        let state = mem::replace(&mut *self.seat.0.lock(), State::Gone);
        match state {
            State::Promoted => self.shards.hand_over(key, self.id),
            State::Waiting(_) => {
                self.shards.lock(key.hash).table.withdraw(key, self.id, |seat| Arc::ptr_eq(seat, &self.seat));
            }
            State::Landed(..) | State::Again | State::Gone => {}
        }
    }
}

impl<K: Eq + Hash, V> Drop for Waiting<'_, K, V> {
    fn drop(&mut self) {
        self.vacate();
    }
}

/// The right and the duty to load. Ends by [`land`](Self::land) or [`fail`](Self::fail), and is of no use then; dropped before,
/// because its future was, or because the body panicked, it hands the flight over to one waiter.
pub(crate) struct Leader<'f, K: Eq + Hash, V> {
    shards: &'f Shards<K, V>,
    pub(crate) key: Stored<K>,
    pub(crate) id: FlightId,
    done: bool,
    _edge: Option<Edge>,
}

impl<'f, K: Eq + Hash, V> Leader<'f, K, V> {
    /// Ends the flight. `settle` runs under the shard's lock with the cache's right to fill, which is where what it
    /// does and the check are one step; `kept` makes what each waiter gets, if there is any, and says where that is from.
    ///
    /// Interleaving that one step defeats: the leader checks «not evicted», an evict removes the (absent) entry and
    /// returns, the leader inserts what it loaded before: stale until the ttl ends.
    // By reference, as `fail`: to move a leader that was made a moment ago is to wait for that.
    pub(crate) fn land<T>(
        &mut self,
        generation: u32,
        settle: impl FnOnce(Option<Stored<K>>, &mut Shard<K, V>) -> T,
        kept: impl FnOnce() -> (Kept<V>, Tier),
    ) -> T {
        self.done = true;
        // Outside of the lock, where they are told to look again should a key panic in what is done under it.
        let mut crew = None;
        let settled = {
            let mut shard = self.shards.lock(self.key.hash);
            let landed = shard.table.land(&self.key, self.id, generation);
            if !landed.waiters.is_empty() {
                crew = Some(Crew(landed.waiters.into_iter()));
            }
            settle(landed.key.filter(|_| landed.fill), &mut shard.memory)
        };
        if let Some(mut crew) = crew {
            // Making it may run the value's `Clone`, which may panic too.
            let (kept, tier) = kept();
            let kept = Arc::new(kept);
            for seat in &mut crew.0 {
                seat.offer(State::Landed(Arc::clone(&kept), tier));
            }
        }
        settled
    }

    /// [`land`](Self::land) of a batch, in its place among others. `settle` runs if it may fill.
    #[cfg(feature = "redis")]
    pub(crate) fn land_batch(mut self, place: u64, generation: u32, settle: impl FnOnce(Stored<K>, &mut Shard<K, V>))
    where
        K: Clone,
    {
        self.done = true;
        let Locked { table, memory } = &mut *self.shards.lock(self.key.hash);
        if table.land_batch(&self.key, self.id, place, generation) {
            settle(self.key.clone(), memory);
        }
    }

    /// Ends this leader's part with an error that it cannot share.
    pub(crate) fn fail(&mut self) {
        self.done = true;
        let succession = self.shards.lock(self.key.hash).table.fail(&self.key, self.id);
        self.shards.tell(&self.key, self.id, succession);
    }
}

impl<K: Eq + Hash, V> Drop for Leader<'_, K, V> {
    fn drop(&mut self) {
        if !self.done {
            self.shards.hand_over(&self.key, self.id);
        }
    }
}

/// Waiters that are to be told, come what may.
struct Crew<V>(vec::IntoIter<Arc<Seat<V>>>);

impl<V> Drop for Crew<V> {
    fn drop(&mut self) {
        for seat in &mut self.0 {
            seat.offer(State::Again);
        }
    }
}

/// A body that runs for a flight: while it is polled, calls it makes are known to be made from inside of it.
pub(crate) struct Led<F> {
    body: F,
    flight: FlightId,
}

impl<F: Future + Unpin> Led<F> {
    /// `make` is the part of the body that runs before its future exists: all of it, where the function is a plain one.
    pub(crate) fn new(flight: Option<FlightId>, make: impl FnOnce() -> F) -> Self {
        let flight = flight.unwrap_or_else(current_flight);
        Self { body: led(Some(flight), make), flight }
    }
}

/// Runs a body that returns at once, like [`Led`]. Without a flight of its own, it belongs to the one that is led around it.
pub(crate) fn led<T>(flight: Option<FlightId>, body: impl FnOnce() -> T) -> T {
    let _inside = Within::enter(&FLIGHT, flight.unwrap_or_else(current_flight));
    body()
}

impl<F: Future + Unpin> Future for Led<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _inside = Within::enter(&FLIGHT, self.flight);
        Pin::new(&mut self.body).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_depends_on_another_no_longer_than_its_edge_exists() {
        let [outer, inner] = [new_id(), new_id()];
        let edge = Edge::add(outer, inner);
        assert!(Edge::unless_cycle(inner, outer).is_none());
        drop(edge);
        assert!(Edge::unless_cycle(inner, outer).is_some());
    }
}
