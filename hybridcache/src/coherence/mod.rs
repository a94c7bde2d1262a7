//! Who may load, who may wait, and who may still write: the rules, and nothing else.
//!
//! This is the sans-io core. It has no lock, no clock, no task and no waker of its own: each method is one event, what
//! it returns is what the caller has to do about it, and the caller holds whatever lock makes it atomic. The memory
//! tier alone needs only the local rules; remote tiers add events to the same table. The rule numbers are those of the
//! protocol, named in `hybridcache/docs/decisions/0001-coherence-core.md`.
//!
//! Invariants of a [`Table`]:
//!
//! * A key has at most one *attached* flight. Only an attached flight that is young enough may be joined (R8), and only an attached
//!   one may fill (R7).
//! * `evict`, `write` and `clear` detach: whoever was in keeps waiting for that flight, its result is not kept, and the next
//!   reader finds no flight and starts its own (R9). A flight never becomes attached again.
//! * A flight in the table has at least one running leader; its end removes it.

mod attached;
#[cfg(any(test, feature = "redis"))]
pub(crate) mod deferred;
#[cfg(any(test, feature = "redis"))]
pub(crate) mod effect;
#[cfg(any(test, feature = "redis"))]
pub(crate) mod floors;
#[cfg(any(test, feature = "redis"))]
pub(crate) mod history;
#[cfg(any(test, feature = "redis"))]
pub(crate) mod node;
#[cfg(any(test, feature = "redis"))]
#[cfg_attr(not(feature = "redis"), expect(unreachable_pub, reason = "what it names is exported with the remote tier"))]
pub(crate) mod token;
pub(crate) mod waits;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

use attached::Attached;

use crate::key::{Prehashed, Stored};

/// A map with no more room than this is not worth to be made smaller.
const FEW: usize = 1_024;

/// Names a flight; unique in the process, because waits are followed across caches.
pub(crate) type FlightId = u64;

/// How many groups of keys a shard tells apart, to know which of them were written: as many as a cache line has words.
const GROUPS: usize = 8;

/// The flights and writes of one shard of a cache's keys. `W` is however the caller reaches a waiter.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Table<K, W> {
    /// How many evicts, writes and clears there were.
    writes: u64,
    /// The keys that have a writer between its `begin` and its end.
    writers: HashMap<Stored<K>, Writers, Prehashed>,
    /// The period of the newest evict, write or clear, by some bits of the key's hash: periods begin with each ticket, see
    /// [`written_since`](Self::written_since).
    last_writes: [u64; GROUPS],
    detached: HashMap<FlightId, Flight<W>>,
    attached: Attached<K, W>,
}

/// A flight, as it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Start {
    pub(crate) id: FlightId,
    /// The cache's generation at that time.
    pub(crate) generation: u32,
    /// When: what it loads may be as old as that.
    pub(crate) began: u64,
    /// Led from a plain function: its leader holds a thread.
    pub(crate) blocking: bool,
}

#[derive(Clone, Debug)]
struct Flight<W> {
    start: Start,
    /// Boxed, because most flights have none and all are moved about.
    crowd: Option<Box<Crowd<W>>>,
}

/// What there is to a flight with more than its one leader.
#[derive(Clone, Debug)]
struct Crowd<W> {
    /// How many callers run their bodies for this flight now.
    running: usize,
    /// How many may run at once: 1, doubled by each wave that failed with an error nobody else can have.
    wave: usize,
    #[cfg(any(test, feature = "redis"))]
    batches: Batches,
    waiters: VecDeque<Waiter<W>>,
}

/// How many batches have entered so far, and which of them was the last to fill. The one that makes the flight is the first.
#[cfg(any(test, feature = "redis"))]
#[derive(Clone, Debug)]
struct Batches {
    entered: u64,
    filled: u64,
}

#[cfg(any(test, feature = "redis"))]
impl Default for Batches {
    fn default() -> Self {
        Self { entered: 1, filled: 0 }
    }
}

#[derive(Clone, Debug)]
struct Waiter<W> {
    who: W,
    /// Waits in a plain function: a thread is parked.
    blocking: bool,
}

#[derive(Clone, Debug)]
struct Writers {
    newest: u64,
    open: usize,
}

/// What a caller that missed is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// Run the body; the flight is yours to [`land`](Table::land), [`fail`](Table::fail) or
    /// [`abandon`](Table::abandon).
    Lead,
    /// Wait: the waiter is registered with this flight.
    Wait(FlightId),
    /// Run the body without a flight; the result is not kept.
    Alone,
}

/// What the end of a flight asks for.
#[derive(Debug)]
pub(crate) struct Landed<K, W> {
    /// Whether the result may be kept. To be done before the lock is given up (R7).
    pub(crate) fill: bool,
    /// Hand each of them the result.
    pub(crate) waiters: Waiters<W>,
    /// The table's own copy of the key, so that it is dropped where no lock is held.
    pub(crate) key: Option<Stored<K>>,
}

/// Whoever waited for a flight that is over.
#[derive(Debug)]
pub(crate) struct Waiters<W>(Option<Box<Crowd<W>>>);

impl<W> Waiters<W> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|crowd| crowd.waiters.is_empty())
    }
}

impl<W> IntoIterator for Waiters<W> {
    type Item = W;
    type IntoIter = std::vec::IntoIter<W>;

    fn into_iter(self) -> Self::IntoIter {
        let waiters = self.0.map(|crowd| crowd.waiters).unwrap_or_default();
        waiters.into_iter().map(|waiter| waiter.who).collect::<Vec<W>>().into_iter()
    }
}

/// What the departure of a leader asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Succession<W> {
    /// These lead now: each runs its own body.
    pub(crate) leaders: Vec<W>,
    /// These are to look again: they hold a thread, and the new leader may need that very thread to be polled.
    pub(crate) dismissed: Vec<W>,
}

impl<W> Default for Succession<W> {
    fn default() -> Self {
        Self { leaders: Vec::new(), dismissed: Vec::new() }
    }
}

impl<K, W> Default for Table<K, W> {
    fn default() -> Self {
        Self {
            attached: Attached::default(),
            detached: HashMap::new(),
            writers: HashMap::default(),
            writes: 0,
            last_writes: [0; GROUPS],
        }
    }
}

impl<K: Eq + Hash, W> Table<K, W> {
    /// A caller missed `key`. It leads flight `start`, or waits for the one that is under way, or runs alone: where
    /// `may_wait` refuses (waiting would close a cycle), and where a plain function would have to wait for an async
    /// leader, which the very thread that waits may have to poll. One that began before `horizon` is retired
    /// instead of joined (R8): what it reads may be older than this caller may be given.
    pub(crate) fn enter(
        &mut self,
        key: Stored<K>,
        start: Start,
        horizon: u64,
        may_wait: impl FnOnce(FlightId) -> bool,
        waiter: impl FnOnce() -> W,
    ) -> Entered {
        if horizon != 0 && self.attached.get_mut(&key).is_some_and(|flight| flight.start.began < horizon) {
            self.detach(&key);
        }
        let Some(flight) = self.attached.get_or_insert(key, start) else { return Entered::Lead };
        if (start.blocking && !flight.start.blocking) || !may_wait(flight.start.id) {
            return Entered::Alone;
        }
        flight.crowd().waiters.push_back(Waiter { who: waiter(), blocking: start.blocking });
        Entered::Wait(flight.start.id)
    }

    /// Flight `start` leads `key` from here on whoever led before: a new load retires the past (R10). Whoever waits for
    /// the flight it retires still gets that one's result.
    pub(crate) fn enter_anew(&mut self, key: Stored<K>, start: Start) {
        self.detach(&key);
        self.attached.get_or_insert(key, start);
    }

    /// A batch loads `key` among others. Batches share a flight: each may fill unless one that entered later has, so that where one
    /// follows the other all the time something is kept. It counts as begun at 0, and so before every horizon: nobody else joins
    /// it, and whoever enters retires it. Returns which flight it is, and the place of the batch in it.
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn enter_batch(&mut self, key: Stored<K>, start: Start) -> (FlightId, u64) {
        if self.attached.get_mut(&key).is_some_and(|flight| flight.start.began != 0) {
            self.detach(&key);
        }
        let start = Start { began: 0, ..start };
        let Some(flight) = self.attached.get_or_insert(key, start) else { return (start.id, 1) };
        let (id, crowd) = (flight.start.id, flight.crowd());
        crowd.running += 1;
        crowd.batches.entered += 1;
        (id, crowd.batches.entered)
    }

    /// The batch in this place of flight `id` has a result. Whether it may be kept, before the lock is given up. What it does not
    /// take the place of is older.
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn land_batch(&mut self, key: &Stored<K>, id: FlightId, place: u64, generation: u32) -> bool {
        let attached = self.is_attached(key, id);
        let Some(flight) = self.flight(key, id) else { return false };
        let fill = attached && flight.start.generation == generation;
        let crowd = flight.crowd();
        crowd.running -= 1;
        let newest = place > crowd.batches.filled;
        crowd.batches.filled = crowd.batches.filled.max(place);
        if crowd.running == 0 {
            self.remove(key, id);
        }
        fill && newest
    }

    /// Flight `start` leads `key` if nobody else does.
    pub(crate) fn enter_if_free(&mut self, key: Stored<K>, start: Start) -> bool {
        self.attached.get_or_insert(key, start).is_none()
    }

    /// A leader of flight `id` has a result for everybody. The flight is over; other leaders of its wave will find it
    /// gone and keep their results to themselves (R11).
    #[inline]
    pub(crate) fn land(&mut self, key: &Stored<K>, id: FlightId, generation: u32) -> Landed<K, W> {
        if let Some((key, flight)) = self.attached.remove_if(key, id) {
            let fill = flight.start.generation == generation;
            return Landed { fill, waiters: Waiters(flight.crowd), key: Some(key) };
        }
        let waiters = Waiters(self.take_detached(id).and_then(|flight| flight.crowd));
        Landed { fill: false, waiters, key: None }
    }

    /// A leader of flight `id` failed with an error that only it can have. Returns who is to run now: nobody while
    /// others of the wave still run, then twice as many as ran before, so that a source that recovers is found quickly
    /// and one that is dead is not struck by all at once.
    pub(crate) fn fail(&mut self, key: &Stored<K>, id: FlightId) -> Succession<W> {
        let Some(flight) = self.flight(key, id) else { return Succession::default() };
        let crowd = flight.crowd();
        crowd.running -= 1;
        if crowd.running > 0 {
            return Succession::default();
        }
        crowd.wave = crowd.wave.saturating_mul(2);
        let wave = crowd.wave;
        self.succeed(key, id, wave)
    }

    /// A leader of flight `id` went away (dropped, or its body panicked), or a waiter that was to lead has. One waiter
    /// takes its place.
    pub(crate) fn abandon(&mut self, key: &Stored<K>, id: FlightId) -> Succession<W> {
        let Some(flight) = self.flight(key, id) else { return Succession::default() };
        flight.crowd().running -= 1;
        self.succeed(key, id, 1)
    }

    /// Up to `count` waiters of flight `id` become leaders; without a leader it is over.
    fn succeed(&mut self, key: &Stored<K>, id: FlightId, count: usize) -> Succession<W> {
        let Some(flight) = self.flight(key, id) else { return Succession::default() };
        let succession = flight.promote(count);
        if flight.crowd().running == 0 {
            self.remove(key, id);
        }
        succession
    }

    /// A waiter of flight `id` went away: it is the one for which `is` is true.
    pub(crate) fn withdraw(&mut self, key: &Stored<K>, id: FlightId, is: impl Fn(&W) -> bool) {
        let Some(flight) = self.flight(key, id) else { return };
        let Some(Crowd { waiters, .. }) = flight.crowd.as_deref_mut() else { return };
        // From both ends: mostly those leave first who came first, whose time is over, or those who came last, as what is dropped
        // together often goes backwards. Of many each would else be searched for among all, under the lock of the shard.
        let last = waiters.len().saturating_sub(1);
        let mut places = (0..=last / 2).flat_map(|at| [at, last - at]);
        if let Some(at) = places.find(|&at| waiters.get(at).is_some_and(|waiter| is(&waiter.who))) {
            waiters.remove(at);
        }
    }

    /// `key` was evicted, in this period.
    #[inline]
    pub(crate) fn evict(&mut self, key: &Stored<K>, period: u64) {
        self.note_write(key.hash, period);
        if !self.is_idle() {
            self.disturb(key);
        }
    }

    /// Takes the right to fill from the flight of `key`, and the first place from its writers, after a write was noted.
    fn disturb(&mut self, key: &Stored<K>) {
        self.detach(key);
        if let Some(writers) = self.writers.get_mut(key) {
            writers.newest = self.writes;
        }
    }

    /// The whole cache was cleared.
    pub(crate) fn clear(&mut self, period: u64) -> Vec<Stored<K>> {
        let mut keys = Vec::with_capacity(self.attached.len());
        for (key, flight) in self.attached.drain() {
            self.detached.insert(flight.start.id, flight);
            keys.push(key);
        }
        self.writes += 1;
        self.last_writes.fill(period);
        for writers in self.writers.values_mut() {
            writers.newest = self.writes;
        }
        keys
    }

    /// A writer takes the write lease of `key`: it is the newest from here on, and loads that are under way may not
    /// fill. Returns the number by which it ends.
    pub(crate) fn begin_write(&mut self, key: Stored<K>, period: u64) -> u64 {
        self.evict(&key, period);
        let writers = self.writers.entry(key).or_insert(Writers { newest: 0, open: 0 });
        writers.newest = self.writes;
        writers.open += 1;
        self.writes
    }

    /// The writer that began as `number` is done. Returns whether nothing newer touched the key since, that is, whether
    /// its value may be put. Either way the writer is followed by [`evict`](Self::evict) of the caller, under the same
    /// lock.
    pub(crate) fn end_write(&mut self, key: &Stored<K>, number: u64) -> bool {
        let Some(writers) = self.writers.get_mut(key) else {
            return false;
        };
        let newest = writers.newest == number;
        writers.open -= 1;
        if writers.open == 0 {
            self.writers.remove(key);
        }
        newest
    }

    /// Whether anything of this key's group was written after `ticket` was drawn, which began the period of this number.
    pub(crate) fn written_since(&self, key: &Stored<K>, ticket: u64) -> bool {
        self.last_writes[group(key.hash)] >= ticket
    }

    /// Whether no flight and no writer is under way, so that an evict has nothing to look for.
    pub(crate) fn is_idle(&self) -> bool {
        self.attached.is_empty() && self.writers.is_empty()
    }

    /// [`evict`](Self::evict) of a key, of this hash, that neither a flight nor a writer is concerned with.
    pub(crate) fn note_write(&mut self, hash: u64, period: u64) {
        self.writes += 1;
        self.last_writes[group(hash)] = period;
    }

    /// Whether flight `id` still is the one of `key` that may be joined, and may fill.
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn is_attached(&mut self, key: &Stored<K>, id: FlightId) -> bool {
        self.attached.get_mut(key).is_some_and(|flight| flight.start.id == id)
    }

    /// The flight of `key` may neither be joined nor fill from here on: because of a write, of a new load, or of a value that was put in
    /// or found beside it.
    pub(crate) fn detach(&mut self, key: &Stored<K>) {
        if let Some((_, flight)) = self.attached.remove(key) {
            self.detached.insert(flight.start.id, flight);
        }
    }

    fn flight(&mut self, key: &Stored<K>, id: FlightId) -> Option<&mut Flight<W>> {
        match self.attached.get_mut(key) {
            Some(flight) if flight.start.id == id => Some(flight),
            _ => self.detached.get_mut(&id),
        }
    }

    fn remove(&mut self, key: &Stored<K>, id: FlightId) {
        if self.attached.remove_if(key, id).is_none() {
            self.take_detached(id);
        }
    }

    fn take_detached(&mut self, id: FlightId) -> Option<Flight<W>> {
        let flight = self.detached.remove(&id);
        give_back(&mut self.detached);
        flight
    }

    #[cfg(test)]
    pub(crate) fn validate(&self) {
        let attached = self.attached.iter().map(|(_, flight)| flight);
        for crowd in attached.chain(self.detached.values()).filter_map(|flight| flight.crowd.as_ref()) {
            assert!(crowd.running > 0, "a flight has a running leader");
            assert!(crowd.running <= crowd.wave, "and not more than its wave");
        }
        for (id, flight) in &self.detached {
            assert_eq!(*id, flight.start.id);
            assert!(!self.attached.iter().any(|(_, attached)| attached.start.id == *id), "in one place only");
        }
        assert!(self.writers.values().all(|w| w.open > 0), "a writer's record ends with its last writer");
    }
}

/// Gives back what a map has needed for very many at once, as for a batch. Half stays, so that this is not so again before as many
/// leave or come.
pub(crate) fn give_back<K: Eq + Hash, V, S: BuildHasher>(map: &mut HashMap<K, V, S>) {
    if map.capacity() > FEW && map.len() < map.capacity() / 8 {
        map.shrink_to(map.len() * 2);
    }
}

/// By bits that choose neither the shard nor a place in a table.
fn group(hash: u64) -> usize {
    (hash >> 16) as usize % GROUPS
}

impl<W> Flight<W> {
    fn new(start: Start) -> Self {
        Self { start, crowd: None }
    }

    fn crowd(&mut self) -> &mut Crowd<W> {
        self.crowd.get_or_insert_with(|| {
            Box::new(Crowd {
                running: 1,
                wave: 1,
                #[cfg(any(test, feature = "redis"))]
                batches: Batches::default(),
                waiters: VecDeque::new(),
            })
        })
    }

    /// Up to `count` waiters become leaders. If one of them is async, the flight is from here on, and whoever waits
    /// with a thread of its own is dismissed.
    fn promote(&mut self, count: usize) -> Succession<W> {
        let blocking = self.start.blocking;
        let crowd = self.crowd();
        let count = count.min(crowd.waiters.len());
        let promoted: Vec<Waiter<W>> = crowd.waiters.drain(..count).collect();
        crowd.running += promoted.len();
        let mut dismissed = Vec::new();
        if blocking && promoted.iter().any(|waiter| !waiter.blocking) {
            for waiter in std::mem::take(&mut crowd.waiters) {
                if waiter.blocking {
                    dismissed.push(waiter.who);
                } else {
                    crowd.waiters.push_back(waiter);
                }
            }
            self.start.blocking = false;
        }
        Succession { leaders: promoted.into_iter().map(|waiter| waiter.who).collect(), dismissed }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;
