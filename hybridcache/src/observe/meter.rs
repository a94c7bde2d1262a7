//! Counting what happens, at the price of next to nothing on a hit.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{BUCKETS, Evictions, Latency, Remote, RemovalReason, Stats};

/// How many threads own a stripe of each meter; those beyond share one.
const OWNED: usize = 16;

/// The counters of one cache. A `fetch_add` would cost a fifth of a hit, and several of them on one cache line most of
/// what a miss costs beside its body when two threads miss at once: so a thread adds to a stripe that nobody else
/// writes, by a relaxed load and store.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    stripes: [Stripe; OWNED + 1],
}

#[derive(Debug, Default)]
// Neighbouring cache lines are fetched in pairs: two of them apart.
#[repr(align(128))]
struct Stripe {
    hits: AtomicU64,
    /// Made for a thread that counts anything else: most only hit most of the time, and it is not small.
    rest: OnceLock<Box<Rest>>,
}

#[derive(Debug)]
struct Rest {
    events: [AtomicU64; EVENTS],
    latency: [AtomicU64; BUCKETS],
    latency_sum: AtomicU64,
    /// That of the load that was timed last.
    latest: AtomicU64,
    /// How many hits there were, and misses, when misses began to come in a row.
    row: [AtomicU64; 2],
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            events: [const { AtomicU64::new(0) }; EVENTS],
            latency: [const { AtomicU64::new(0) }; BUCKETS],
            latency_sum: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            row: [const { AtomicU64::new(0) }; 2],
        }
    }
}

/// See [`Tally::times_next_load`].
const TIMED: u64 = 1_024;
const TIMED_OF: u64 = 64;
const SLOW: u64 = 10_000;
/// So many misses of a thread in a row say that there will be more.
const ROW: u64 = 64;
const EVENTS: usize = Event::Degraded as usize + 1;

/// What is counted beside hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Miss,
    Load,
    LoadFailure,
    Wait,
    WaitTimeout,
    Uncached,
    Bypassed,
    Refresh,
    Expired,
    Capacity,
    Explicit,
    Replaced,
    Rejected,
    RemoteHit,
    RemoteMiss,
    RemoteFault,
    Filled,
    FillRejected,
    FleetWait,
    Undecodable,
    Unencodable,
    Unspellable,
    Unfilled,
    Degraded,
}

impl Meter {
    #[inline]
    pub(crate) fn hit(&self) {
        let stripe = STRIPE.get();
        if stripe < OWNED {
            add(&self.stripes[stripe].hits, 1, stripe);
        } else {
            self.hit_elsewhere();
        }
    }

    #[cold]
    #[inline(never)]
    fn hit_elsewhere(&self) {
        let stripe = stripe();
        add(&self.stripes[stripe].hits, 1, stripe);
    }

    pub(crate) fn count(&self, event: Event) {
        self.tally().count(event);
    }

    /// This thread's part of it. To get there is to follow three pointers, which takes as long as to count: whoever counts several
    /// things does it once, and before a lock, which would have it wait.
    #[inline]
    pub(crate) fn tally(&self) -> Tally<'_> {
        let at = stripe();
        let stripe = &self.stripes[at];
        Tally {
            hits: &stripe.hits,
            rest: stripe.rest.get_or_init(Box::default),
            stripe: at,
            of_this_thread: PhantomData,
        }
    }

    pub(crate) fn read(&self, entries: u64, weight: u64) -> Stats {
        let mut events = [0_u64; EVENTS];
        let mut load_latency = Latency::default();
        for rest in self.stripes.iter().filter_map(|stripe| stripe.rest.get()) {
            let add = |sum: &mut u64, count: &AtomicU64| *sum = sum.wrapping_add(count.load(Ordering::Relaxed));
            events.iter_mut().zip(&rest.events).for_each(|(sum, count)| add(sum, count));
            load_latency.buckets.iter_mut().zip(&rest.latency).for_each(|(sum, count)| add(sum, count));
            add(&mut load_latency.sum, &rest.latency_sum);
        }
        let count = |event: Event| events[event as usize];
        Stats {
            hits: self.hits(),
            misses: count(Event::Miss),
            loads: count(Event::Load),
            load_failures: count(Event::LoadFailure),
            waits: count(Event::Wait),
            wait_timeouts: count(Event::WaitTimeout),
            uncached: count(Event::Uncached),
            bypassed: count(Event::Bypassed),
            refreshes: count(Event::Refresh),
            evictions: Evictions {
                expired: count(Event::Expired),
                capacity: count(Event::Capacity),
                explicit: count(Event::Explicit),
                replaced: count(Event::Replaced),
                rejected: count(Event::Rejected),
            },
            remote: Remote {
                hits: count(Event::RemoteHit),
                misses: count(Event::RemoteMiss),
                faults: count(Event::RemoteFault),
                fills: count(Event::Filled),
                fills_rejected: count(Event::FillRejected),
                waits: count(Event::FleetWait),
                undecodable: count(Event::Undecodable),
                unencodable: count(Event::Unencodable),
                unspellable: count(Event::Unspellable),
                unfilled: count(Event::Unfilled),
                degraded: count(Event::Degraded),
            },
            entries,
            weight,
            load_latency,
        }
    }

    /// How many hits there were.
    pub(crate) fn hits(&self) -> u64 {
        self.stripes.iter().map(|stripe| stripe.hits.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

/// Where a thread counts in a meter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally<'m> {
    hits: &'m AtomicU64,
    rest: &'m Rest,
    stripe: usize,
    of_this_thread: PhantomData<*const ()>,
}

impl Tally<'_> {
    #[inline]
    pub(crate) fn count(self, event: Event) {
        add(&self.rest.events[event as usize], 1, self.stripe);
    }

    /// Counts an entry that left.
    #[inline]
    pub(crate) fn left(self, reason: RemovalReason) {
        // They stand in the same order: to look each up is a jump.
        const {
            let first = Event::Expired as usize - RemovalReason::Expired as usize;
            assert!(first + RemovalReason::Capacity as usize == Event::Capacity as usize);
            assert!(first + RemovalReason::Explicit as usize == Event::Explicit as usize);
            assert!(first + RemovalReason::Replaced as usize == Event::Replaced as usize);
        }
        add(&self.rest.events[Event::Expired as usize + reason as usize], 1, self.stripe);
    }

    /// Counts a miss: whether it is the last of each [`ROW`] that came in a row.
    #[inline]
    pub(crate) fn miss(self) -> bool {
        let misses = &self.rest.events[Event::Miss as usize];
        let [hits_then, misses_then] = &self.rest.row;
        let hits = self.hits.load(Ordering::Relaxed);
        if hits_then.load(Ordering::Relaxed) != hits {
            hits_then.store(hits, Ordering::Relaxed);
            misses_then.store(misses.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        add(misses, 1, self.stripe);
        let in_a_row = misses.load(Ordering::Relaxed).wrapping_sub(misses_then.load(Ordering::Relaxed));
        in_a_row.is_multiple_of(ROW)
    }

    /// Whether the load that begins now is to be timed: each of a thread's first [`TIMED`], each after one of at least [`SLOW`]
    /// nanoseconds, and of the others one in [`TIMED_OF`]. Reading the precise clock twice would be a good part of a quick one. How
    /// long a load takes has no part in whether it is timed itself.
    #[inline]
    pub(crate) fn times_next_load(self) -> bool {
        let loads = self.rest.events[Event::Load as usize].load(Ordering::Relaxed);
        loads < TIMED || loads.is_multiple_of(TIMED_OF) || self.rest.latest.load(Ordering::Relaxed) >= SLOW
    }

    /// A load returned, after so long if it was timed.
    #[inline]
    pub(crate) fn loaded(self, nanos: Option<u64>) {
        self.count(Event::Load);
        if let Some(nanos) = nanos {
            add(&self.rest.latency[64 - nanos.leading_zeros() as usize], 1, self.stripe);
            add(&self.rest.latency_sum, nanos, self.stripe);
            self.rest.latest.store(nanos, Ordering::Relaxed);
        }
    }
}

/// Adds to a counter of this stripe, which is this thread's own or the one that is shared.
#[inline]
fn add(counter: &AtomicU64, n: u64, stripe: usize) {
    if stripe < OWNED {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    } else {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

/// The stripe of this thread.
#[inline]
fn stripe() -> usize {
    let stripe = STRIPE.get();
    if stripe == UNASSIGNED { Owner::assign() } else { stripe }
}

const UNASSIGNED: usize = usize::MAX;

thread_local! {
    // Without a destructor, so that it costs one load and can be read while a thread ends.
    static STRIPE: Cell<usize> = const { Cell::new(UNASSIGNED) };
    static OWNER: Cell<Option<Owner>> = const { Cell::new(None) };
}

static FREE: Mutex<[bool; OWNED]> = Mutex::new([true; OWNED]);

/// Holds a stripe for a thread. The lock orders the last addition of a thread that ended before the first of the one
/// that takes its stripe over, so that no count is lost.
struct Owner(usize);

impl Owner {
    #[cold]
    fn assign() -> usize {
        let free = {
            let mut free = FREE.lock();
            let stripe = free.iter().position(|&free| free);
            if let Some(stripe) = stripe {
                free[stripe] = false;
            }
            stripe
        };
        // A thread that is ending can no longer keep an owner: it shares, like those that came too late.
        STRIPE.set(OWNED);
        if let Some(stripe) = free {
            let owner = Owner(stripe);
            if OWNER.try_with(|slot| slot.set(Some(owner))).is_ok() {
                STRIPE.set(stripe);
            }
        }
        STRIPE.get()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        STRIPE.set(OWNED);
        FREE.lock()[self.0] = true;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nothing_is_lost_between_threads_that_come_and_go() {
        let meter = Meter::default();
        for _ in 0..4 {
            std::thread::scope(|scope| {
                for _ in 0..OWNED * 2 {
                    scope.spawn(|| {
                        (0..1_000).for_each(|i| {
                            meter.hit();
                            meter.count(Event::Miss);
                            meter.tally().loaded(Some(i));
                        });
                    });
                }
            });
        }
        let (stats, each) = (meter.read(0, 0), 4 * 2 * OWNED as u64 * 1_000);
        assert_eq!((stats.hits, stats.misses, stats.loads), (each, each, each));
        assert_eq!(stats.load_latency.sum, each / 1_000 * (0..1_000).sum::<u64>());
    }

    #[test]
    fn misses_in_a_row_are_told_each_time_there_are_so_many() {
        let meter = Meter::default();
        let told = |misses: u64| (0..misses).filter(|_| meter.tally().miss()).count();
        assert_eq!((told(ROW - 1), told(1), told(ROW - 1), told(1)), (0, 1, 0, 1));
        told(ROW - 1);
        meter.hit();
        assert_eq!((told(ROW - 1), told(1)), (0, 1), "a hit ends a row");
        assert_eq!(meter.read(0, 0).misses, 4 * ROW - 1);
    }

    #[test]
    fn quantiles_are_right_to_a_factor_of_two() {
        let meter = Meter::default();
        let latency = || meter.read(0, 0).load_latency;
        assert_eq!(latency().quantile(0.5), Duration::ZERO);
        for micros in 1..=1_000_u64 {
            meter.tally().loaded(Some(micros * 1_000));
        }
        assert_eq!(latency().count(), 1_000);
        assert_eq!(latency().mean(), Duration::from_nanos(500_500));
        let p50 = latency().quantile(0.5).as_nanos();
        assert!((500_000..1_000_000).contains(&p50), "{p50}");
        assert!(latency().quantile(1.0) >= Duration::from_millis(1));
        meter.tally().loaded(Some(u64::MAX));
        meter.tally().loaded(Some(0));
        assert_eq!(latency().quantile(1.0), Duration::from_nanos(u64::MAX));
        assert_eq!(latency().quantile(0.0), Duration::from_nanos(0));
    }

    #[test]
    fn of_many_quick_loads_some_are_timed_of_slow_ones_all_and_all_are_counted() {
        let meter = Meter::default();
        let load = |times: u64, nanos| {
            (0..times).for_each(|_| meter.tally().loaded(meter.tally().times_next_load().then_some(nanos)))
        };
        let counts = || {
            let stats = meter.read(0, 0);
            (stats.loads, stats.load_latency.count())
        };
        load(TIMED + 100 * TIMED_OF, SLOW - 1);
        assert_eq!(counts(), (TIMED + 100 * TIMED_OF, TIMED + 100));
        load(1_000, SLOW);
        assert_eq!(
            counts(),
            (TIMED + 100 * TIMED_OF + 1_000, TIMED + 1_100),
            "the first of them is one of those in 64"
        );
    }

    #[test]
    fn stats_add_up() {
        let meter = Meter::default();
        meter.hit();
        meter.count(Event::Miss);
        meter.count(Event::Rejected);
        let mut sum = meter.read(3, 30);
        sum.merge(&meter.read(1, 5));
        assert_eq!((sum.hits, sum.misses, sum.entries, sum.weight), (2, 2, 4, 35));
        assert_eq!(sum.evictions.rejected, 2);
        assert!((sum.hit_ratio() - 0.5).abs() < f64::EPSILON);
        assert!(Stats::default().hit_ratio().abs() < f64::EPSILON);
    }
}
