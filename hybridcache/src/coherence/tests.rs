use super::*;

impl<K: Eq + Hash + Copy + Ord, W> Table<K, W> {
    /// Everything that decides what it does, in one order, where this is the number of the one writer that may end.
    pub(crate) fn canonical(&self, number: u64) -> impl Eq + Hash {
        let attached = self.attached.iter().map(|(key, flight)| (Some(key.key), flight.start));
        let detached = self.detached.values().map(|flight| (None, Start { began: 0, ..flight.start }));
        let mut flights: Vec<_> = attached.chain(detached).collect();
        flights.sort_unstable_by_key(|(key, start)| (*key, start.id));
        let mut writers: Vec<_> = self.writers.iter().map(|(key, w)| (key.key, w.newest == number, w.open)).collect();
        writers.sort_unstable();
        (flights, writers)
    }

    /// Everybody who waits.
    pub(crate) fn waiting(&mut self) -> impl Iterator<Item = &mut W> {
        let flights = self.attached.values_mut().chain(self.detached.values_mut());
        flights.flat_map(|flight| {
            flight.crowd.iter_mut().flat_map(|crowd| &mut crowd.waiters).map(|waiter| &mut waiter.who)
        })
    }

    /// Lets every flight have begun `by` earlier, but never earlier than at `oldest`.
    pub(crate) fn age(&mut self, by: u64, oldest: u64) {
        for flight in self.attached.values_mut().chain(self.detached.values_mut()) {
            flight.start.began = flight.start.began.saturating_sub(by).max(oldest);
        }
    }
}

type Flights = Table<u64, &'static str>;

fn key(k: u64) -> Stored<u64> {
    Stored { hash: k, key: k }
}

fn start(id: FlightId) -> Start {
    Start { id, generation: 0, began: 0, blocking: false }
}

fn enter(table: &mut Flights, id: FlightId, waiter: &'static str) -> Entered {
    table.enter(key(7), start(id), 0, |_| true, || waiter)
}

#[test]
fn the_first_leads_and_the_others_wait_for_it() {
    let mut table = Flights::default();
    assert_eq!(enter(&mut table, 1, "-"), Entered::Lead);
    assert_eq!(enter(&mut table, 2, "b"), Entered::Wait(1));
    assert_eq!(enter(&mut table, 3, "c"), Entered::Wait(1));
    table.validate();
    let landed = table.land(&key(7), 1, 0);
    assert!(landed.fill);
    assert_eq!(landed.waiters.into_iter().as_slice(), ["b", "c"]);
    assert_eq!(enter(&mut table, 4, "-"), Entered::Lead, "the flight is over");
}

#[test]
fn of_batches_each_fills_unless_a_later_one_has_and_others_retire_them() {
    let mut table = Flights::default();
    let batch = |table: &mut Flights, id| table.enter_batch(key(7), start(id));
    let land = |table: &mut Flights, place| table.land_batch(&key(7), 1, place, 0);
    assert_eq!([1, 2, 3, 4].map(|id| batch(&mut table, id)), [(1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!([2, 1, 3].map(|place| land(&mut table, place)), [true, false, true]);
    assert!(table.abandon(&key(7), 1).leaders.is_empty(), "the last one is dropped");
    assert!(table.is_idle());
    // A load that may join whatever it may join: it joins no batch, and takes its right.
    assert_eq!(batch(&mut table, 1), (1, 1));
    let load = |id| Start { began: 5, ..start(id) };
    assert_eq!(table.enter(key(7), load(2), 1, |_| true, || "b"), Entered::Lead);
    assert!(!land(&mut table, 1));
    // A batch takes that of a load, and an evict its own.
    assert_eq!(batch(&mut table, 1), (1, 1));
    assert!(!table.land(&key(7), 2, 0).fill);
    table.evict(&key(7), 1);
    assert_eq!(batch(&mut table, 3), (3, 1));
    assert!(!land(&mut table, 1));
    assert!(!table.land_batch(&key(7), 3, 1, 1), "the cache was cleared");
    assert!(table.is_idle() && table.detached.is_empty());
}

#[test]
fn an_evicted_flight_serves_those_who_are_in_and_nobody_else() {
    let mut table = Flights::default();
    enter(&mut table, 1, "-");
    enter(&mut table, 2, "in");
    table.evict(&key(7), 10);
    assert_eq!(enter(&mut table, 3, "-"), Entered::Lead, "a later reader loads anew");
    table.validate();
    let old = table.land(&key(7), 1, 0);
    assert!(!old.fill, "what it loaded may be older than the evict");
    assert_eq!(old.waiters.into_iter().as_slice(), ["in"]);
    assert!(table.land(&key(7), 3, 0).fill);
    table.validate();
}

#[test]
fn a_clear_takes_the_right_to_fill_and_so_does_a_new_generation() {
    let mut table = Flights::default();
    enter(&mut table, 1, "-");
    assert_eq!(table.clear(5).len(), 1);
    assert!(!table.land(&key(7), 1, 0).fill);
    enter(&mut table, 2, "-");
    assert!(!table.land(&key(7), 2, 1).fill, "cleared between its begin and the detaching");
}

#[test]
fn a_leader_that_goes_hands_over_to_one_waiter_and_the_last_ends_the_flight() {
    let mut table = Flights::default();
    enter(&mut table, 1, "-");
    enter(&mut table, 2, "b");
    assert_eq!(table.abandon(&key(7), 1).leaders, ["b"]);
    table.validate();
    assert_eq!(enter(&mut table, 3, "c"), Entered::Wait(1), "it is the same flight");
    assert_eq!(table.abandon(&key(7), 1).leaders, ["c"]);
    assert_eq!(table.abandon(&key(7), 1), Succession::default());
    assert_eq!(enter(&mut table, 4, "-"), Entered::Lead);
}

#[test]
fn r8_a_flight_that_began_before_the_horizon_is_retired_and_not_joined() {
    let mut table = Flights::default();
    let at = |id, began| Start { began, ..start(id) };
    assert_eq!(table.enter(key(7), at(1, 10), 0, |_| true, || "-"), Entered::Lead);
    assert_eq!(table.enter(key(7), at(2, 20), 10, |_| true, || "in"), Entered::Wait(1));
    assert_eq!(table.enter(key(7), at(3, 21), 11, |_| true, || "-"), Entered::Lead, "too old to be joined");
    table.validate();
    let old = table.land(&key(7), 1, 0);
    assert!(!old.fill);
    assert_eq!(old.waiters.into_iter().as_slice(), ["in"], "whoever was in is served");
    assert!(table.land(&key(7), 3, 0).fill);
}

#[test]
fn waves_double_and_the_first_success_serves_the_rest() {
    let mut table = Flights::default();
    enter(&mut table, 1, "-");
    for waiter in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
        enter(&mut table, 2, waiter);
    }
    assert_eq!(table.fail(&key(7), 1).leaders, ["a", "b"]);
    table.validate();
    assert_eq!(table.fail(&key(7), 1), Succession::default(), "one of two still runs");
    assert_eq!(table.fail(&key(7), 1).leaders, ["c", "d", "e", "f"]);
    table.validate();
    let landed = table.land(&key(7), 1, 0);
    assert!(landed.fill);
    assert_eq!(landed.waiters.into_iter().as_slice(), ["g", "h", "i"]);
    let late = table.land(&key(7), 1, 0);
    assert!(!late.fill && late.waiters.is_empty(), "a mate of the wave that ends later changes nothing");
    assert_eq!(table.fail(&key(7), 1), Succession::default());
    assert_eq!(table.abandon(&key(7), 1), Succession::default());
}

#[test]
fn a_failed_flight_without_waiters_is_over() {
    let mut table = Flights::default();
    enter(&mut table, 1, "-");
    assert_eq!(table.fail(&key(7), 1), Succession::default());
    table.validate();
    assert_eq!(enter(&mut table, 2, "-"), Entered::Lead);
}

#[test]
fn a_plain_function_does_not_wait_for_an_async_leader_nor_anybody_in_a_circle() {
    let mut table = Flights::default();
    assert_eq!(table.enter(key(7), start(1), 0, |_| true, || "-"), Entered::Lead);
    assert_eq!(table.enter(key(7), Start { blocking: true, ..start(2) }, 0, |_| true, || "-"), Entered::Alone);
    assert_eq!(table.enter(key(7), start(3), 0, |_| false, || "-"), Entered::Alone);
    assert_eq!(table.enter(key(8), Start { blocking: true, ..start(4) }, 0, |_| true, || "-"), Entered::Lead);
    assert_eq!(table.enter(key(8), Start { blocking: true, ..start(5) }, 0, |_| true, || "-"), Entered::Wait(4));
    assert_eq!(table.enter(key(8), start(6), 0, |_| true, || "-"), Entered::Wait(4));
}

#[test]
fn a_new_load_retires_the_one_before() {
    let mut table = Flights::default();
    enter(&mut table, 1, "-");
    enter(&mut table, 2, "in");
    table.enter_anew(key(7), start(3));
    assert!(!table.enter_if_free(key(7), start(4)));
    assert_eq!(enter(&mut table, 5, "new"), Entered::Wait(3));
    let old = table.land(&key(7), 1, 0);
    assert!(!old.fill);
    assert_eq!(old.waiters.into_iter().as_slice(), ["in"]);
    let new = table.land(&key(7), 3, 0);
    assert!(new.fill);
    assert_eq!(new.waiters.into_iter().as_slice(), ["new"]);
}

#[test]
fn of_two_writers_only_the_one_that_began_last_may_put() {
    let mut table = Flights::default();
    let (first, second) = (table.begin_write(key(7), 0), table.begin_write(key(7), 0));
    assert!(table.end_write(&key(7), second));
    assert!(!table.end_write(&key(7), first), "it finished last, and is the older one");
    assert!(table.writers.is_empty());
}

#[test]
fn an_evict_or_a_clear_during_a_write_wins_over_it() {
    let mut table = Flights::default();
    let write = table.begin_write(key(7), 0);
    table.evict(&key(7), 0);
    assert!(!table.end_write(&key(7), write));
    let write = table.begin_write(key(7), 0);
    table.clear(0);
    assert!(!table.end_write(&key(7), write));
    let write = table.begin_write(key(7), 0);
    table.evict(&key(8), 0);
    assert!(table.end_write(&key(7), write), "another key is another matter");
}

#[test]
fn a_ticket_sees_the_writes_of_its_period_and_later_ones() {
    let mut table = Flights::default();
    table.evict(&key(7), 0);
    assert!(!table.written_since(&key(7), 1), "that was before the ticket began period 1");
    table.evict(&key(8), 1);
    assert!(table.written_since(&key(7), 1), "of the same group: that is all it knows");
    assert!(!table.written_since(&key(7), 2));
    table.clear(3);
    assert!(table.written_since(&key(7), 2));
}

#[test]
fn a_write_takes_the_right_to_fill_from_a_load_that_is_under_way() {
    let mut table = Flights::default();
    enter(&mut table, 1, "-");
    table.begin_write(key(7), 0);
    assert!(!table.land(&key(7), 1, 0).fill);
}

#[test]
fn a_flight_that_an_async_caller_takes_over_lets_go_of_those_who_hold_a_thread() {
    let mut table = Flights::default();
    assert_eq!(table.enter(key(7), Start { blocking: true, ..start(1) }, 0, |_| true, || "-"), Entered::Lead);
    for (waiter, blocking) in [("async", false), ("plain", true), ("async too", false)] {
        assert_eq!(table.enter(key(7), Start { blocking, ..start(2) }, 0, |_| true, || waiter), Entered::Wait(1));
    }
    let succession = table.abandon(&key(7), 1);
    assert_eq!((succession.leaders, succession.dismissed), (vec!["async"], vec!["plain"]));
    assert_eq!(table.enter(key(7), Start { blocking: true, ..start(3) }, 0, |_| true, || "-"), Entered::Alone);
    assert_eq!(table.land(&key(7), 1, 0).waiters.into_iter().as_slice(), ["async too"]);
}

#[test]
fn a_waiter_that_leaves_takes_its_seat_along() {
    let mut table = Flights::default();
    enter(&mut table, 1, "-");
    for waiter in ["a", "b", "c"] {
        enter(&mut table, 2, waiter);
    }
    table.withdraw(&key(7), 1, |waiter| *waiter == "b");
    table.withdraw(&key(7), 1, |waiter| *waiter == "nobody");
    table.evict(&key(7), 9);
    table.withdraw(&key(7), 1, |waiter| *waiter == "a");
    assert_eq!(table.land(&key(7), 1, 0).waiters.into_iter().as_slice(), ["c"]);
    table.withdraw(&key(7), 1, |_| true);
}

#[test]
fn of_many_waiters_those_who_came_first_or_last_are_soon_found() {
    let mut table: Table<u64, usize> = Table::default();
    let mut enter = |waiter| table.enter(key(7), start(1), 0, |_| true, || waiter);
    assert_eq!(enter(0), Entered::Lead);
    (0..100).for_each(|waiter| assert_eq!(enter(waiter), Entered::Wait(1)));
    for leaving in (0..40).chain((60..100).rev()) {
        let looks = std::cell::Cell::new(0);
        table.withdraw(&key(7), 1, |waiter| {
            looks.set(looks.get() + 1);
            *waiter == leaving
        });
        assert!(looks.get() <= 2, "{leaving}: {looks:?}");
    }
    assert!(table.land(&key(7), 1, 0).waiters.into_iter().eq(40..60));
}
