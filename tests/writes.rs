//! Write leases in every order, and writes against loads that are under way.

use std::cell::Cell;
use std::collections::BTreeMap;

use hybridcache::{Cache, Outcome, Share, Write};
use hybridcache_tests::{Gate, poll_once};

fn cache() -> Cache<u64, u64> {
    Cache::builder("writes").build().unwrap()
}

/// How a writer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It committed and puts its value.
    Put,
    /// It did not commit.
    Cancel,
    /// It committed, and its future was dropped before it could say so.
    Drop,
}

const ENDS: [End; 3] = [End::Put, End::Cancel, End::Drop];

fn end(write: Write<u64, u64>, how: End, value: u64) {
    match how {
        End::Put => write.put_blocking(value).unwrap(),
        End::Cancel => write.cancel(),
        End::Drop => drop(write),
    }
}

#[tokio::test]
async fn one_writer_puts_cancels_or_vanishes() {
    for (how, left) in [(End::Put, Some(11)), (End::Cancel, Some(10)), (End::Drop, None)] {
        let cache = cache();
        cache.insert(&1, 10).await.unwrap();
        let write = cache.write(&1).await.unwrap();
        assert_eq!(cache.peek(&1).await, Some(10), "what is there is served until the write ends");
        end(write, how, 11);
        assert_eq!(cache.peek(&1).await, left, "{how:?}");
    }
}

/// The steps of two writers in the orders in which they can be taken, each as the index of the writer whose step is
/// next: it begins first and ends second.
const TWO_WRITERS: [[usize; 4]; 6] =
    [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]];

#[test]
fn of_two_writers_the_cache_keeps_what_is_certain() {
    for steps in TWO_WRITERS {
        for ends in ENDS.map(|first| ENDS.map(|second| [first, second])).concat() {
            let cache = cache();
            cache.blocking().insert(&1, 10).unwrap();
            let mut open = [None, None];
            let mut order = Vec::new();
            for writer in steps {
                match open[writer].take() {
                    None => open[writer] = Some(cache.blocking().write(&1).unwrap()),
                    Some(write) => {
                        order.push(writer);
                        end(write, ends[writer], 20 + writer as u64);
                    }
                }
            }
            let [first_end, second_end] = [order[0], order[1]].map(|writer| ends[writer]);
            let overlap = steps[0] != steps[1];
            let began_last = if steps[0] == 0 { 1 } else { 0 };
            let last_value = 20 + order[1] as u64;
            let expected = match (overlap, first_end, second_end) {
                // One after the other: each as if it were alone.
                (false, _, End::Put) => Some(last_value),
                (false, _, End::Drop) => None,
                (false, End::Put, End::Cancel) => Some(20 + order[0] as u64),
                (false, End::Drop, End::Cancel) => None,
                (false, End::Cancel, End::Cancel) => Some(10),
                // Side by side: a value is put only by the one that began last, and only if the other did nothing.
                (true, End::Cancel, End::Cancel) => Some(10),
                (true, End::Cancel, End::Put) => (order[1] == began_last).then_some(last_value),
                (true, End::Put, End::Cancel) => (order[0] == began_last).then_some(20 + order[0] as u64),
                (true, _, _) => None,
            };
            let left = cache.blocking().peek(&1);
            assert_eq!(left, expected, "{steps:?} {ends:?}");
        }
    }
}

/// A database row, and a history of what it was.
#[derive(Debug)]
struct Row {
    value: Cell<u64>,
    /// Which commit wrote a value.
    commits: std::cell::RefCell<BTreeMap<u64, u64>>,
}

/// All orders of the steps of several parties, of whom party `i` takes `steps[i]`.
fn orders(steps: &[usize]) -> Vec<Vec<usize>> {
    if steps.iter().all(|left| *left == 0) {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for party in 0..steps.len() {
        if steps[party] > 0 {
            let mut left = steps.to_vec();
            left[party] -= 1;
            for mut rest in orders(&left) {
                rest.insert(0, party);
                all.push(rest);
            }
        }
    }
    all
}

/// Two writers that begin, commit and end; a reader that starts to load, reads the row, and lands; a put by nobody. In
/// each of the 5 040 orders and ends: once a writer's end has returned, no look finds anything older than its commit.
#[test]
fn no_order_of_two_writers_and_a_slow_reader_leaves_an_old_value() {
    let mut cases = 0;
    let (mut kept_a_put, mut kept_a_load, mut absent) = (0, 0, 0);
    for order in orders(&[3, 3, 2]) {
        for ends in ENDS.map(|first| ENDS.map(|second| [first, second])).concat() {
            cases += 1;
            let cache = cache();
            let row = Row { value: Cell::new(10), commits: std::cell::RefCell::new(BTreeMap::from([(10, 0)])) };
            cache.blocking().insert(&1, 10).unwrap();
            let gate = Gate::default();
            let mut reader = None;
            let mut writers = [None, None];
            let mut taken = [0; 3];
            let mut acknowledged = 0;
            for party in order.iter().copied() {
                taken[party] += 1;
                match (party, taken[party]) {
                    (2, 1) => {
                        let mut load: std::pin::Pin<Box<dyn Future<Output = u64> + '_>> =
                            Box::pin(cache.refresh(&1, || async {
                                let read = row.value.get();
                                gate.pass().await;
                                read
                            }));
                        assert!(poll_once(&mut load).is_pending());
                        reader = Some(load);
                    }
                    (2, _) => {
                        gate.open();
                        assert!(poll_once(reader.as_mut().unwrap()).is_ready());
                    }
                    (writer, 1) => writers[writer] = Some(cache.blocking().write(&1).unwrap()),
                    (writer, 2) => {
                        if ends[writer] != End::Cancel {
                            let number = row.commits.borrow().len() as u64;
                            row.value.set(20 + writer as u64);
                            row.commits.borrow_mut().insert(20 + writer as u64, number);
                        }
                    }
                    (writer, _) => {
                        end(writers[writer].take().unwrap(), ends[writer], 20 + writer as u64);
                        if ends[writer] != End::Cancel {
                            acknowledged = acknowledged.max(row.commits.borrow()[&(20 + writer as u64)]);
                        }
                    }
                }
                if let Some(found) = cache.blocking().peek(&1) {
                    let found = row.commits.borrow()[&found];
                    assert!(
                        found >= acknowledged,
                        "{order:?} {ends:?}: commit {found} is served after commit {acknowledged}"
                    );
                }
            }
            match cache.blocking().peek(&1) {
                None => absent += 1,
                Some(10) => {
                    assert_eq!(ends, [End::Cancel; 2], "{order:?}");
                    kept_a_load += 1;
                }
                Some(found) => {
                    assert_eq!(found, row.value.get(), "{order:?} {ends:?}");
                    kept_a_put += 1;
                }
            }
        }
    }
    assert_eq!(cases, 560 * 9);
    assert!(kept_a_put > 500 && kept_a_load > 500 && absent > 500, "{kept_a_put} {kept_a_load} {absent}");
}

#[tokio::test]
async fn an_evict_or_a_clear_beats_a_writer_that_began_before() {
    for clear in [false, true] {
        let cache = cache();
        let write = cache.write(&1).await.unwrap();
        if clear {
            cache.clear().await.unwrap();
        } else {
            cache.evict(&1).await.unwrap();
        }
        write.put(11).await.unwrap();
        assert_eq!(cache.peek(&1).await, None, "somebody wrote in between: nobody knows which came last");
    }
}

#[tokio::test]
async fn a_put_beats_a_writer_that_began_before() {
    let cache = cache();
    let write = cache.write(&1).await.unwrap();
    cache.insert(&1, 12).await.unwrap();
    write.put(11).await.unwrap();
    assert_eq!(cache.peek(&1).await, None);
}

#[tokio::test]
async fn writers_of_different_keys_do_not_meet() {
    let cache = cache();
    let mut writes = Vec::new();
    for key in 0..500_u64 {
        writes.push((key, cache.write(&key).await.unwrap()));
    }
    for (key, write) in writes {
        write.put(key).await.unwrap();
    }
    for key in 0..500_u64 {
        assert_eq!(cache.peek(&key).await, Some(key));
    }
}

#[tokio::test]
async fn many_writers_of_one_key_leave_nothing_old() {
    let cache = cache();
    let mut writes = Vec::new();
    for _ in 0..20 {
        writes.push(cache.write(&1).await.unwrap());
    }
    while writes.len() > 1 {
        writes.swap_remove(writes.len() / 2).put(1).await.unwrap();
        assert_eq!(cache.peek(&1).await, None);
    }
    drop(writes);
    cache.write(&1).await.unwrap().put(2).await.unwrap();
    assert_eq!(cache.peek(&1).await, Some(2), "a writer that is alone again puts its value");
}

/// What happens to a load that is under way when something writes: it is returned to those who asked before, it is not
/// kept, and whoever asks later loads anew.
#[tokio::test]
async fn a_write_during_a_load_is_never_undone_by_it() {
    for write in ["evict", "evict_many", "put", "clear", "write, then put", "write, then drop"] {
        let (cache, gate) = (cache(), Gate::default());
        let mut leader = Box::pin(cache.fetch(&1).load(Share::none(), |_| gate.then(10)));
        assert!(poll_once(&mut leader).is_pending());
        let mut waiter = Box::pin(cache.fetch(&1).load(Share::none(), |_| async { 99 }));
        assert!(poll_once(&mut waiter).is_pending());
        match write {
            "evict" => assert!(cache.evict(&1).await.is_ok()),
            "evict_many" => assert!(cache.evict_many(&[0, 1]).await.is_ok()),
            "put" => cache.insert(&1, 20).await.unwrap(),
            "clear" => assert!(cache.clear().await.is_ok()),
            "write, then put" => cache.write(&1).await.unwrap().put(20).await.unwrap(),
            _ => drop(cache.write(&1).await.unwrap()),
        }
        let put = write.contains("put");
        assert_eq!(cache.peek(&1).await, put.then_some(20), "{write}");
        let later = cache.fetch(&1).load(Share::none(), |_| async { 30 }).await;
        let (value, outcome) = if put { (20, Outcome::Hit) } else { (30, Outcome::Loaded) };
        assert_eq!((later.result, later.outcome), (value, outcome), "{write}: whoever comes later does not join");
        gate.open();
        assert_eq!(leader.await.result, 10, "{write}: whoever was in gets what was loaded");
        let waiter = waiter.await;
        assert_eq!((waiter.result, waiter.outcome), (10, Outcome::Shared), "{write}");
        assert_eq!(cache.peek(&1).await, Some(value), "{write}: and it is not kept");
    }
}

#[tokio::test]
async fn a_load_alongside_others_is_not_kept_if_something_wrote_meanwhile() {
    for write in ["evict", "put", "clear", "write, then drop"] {
        let cache: Cache<u64, u64> =
            Cache::builder("alongside").single_flight(hybridcache::SingleFlight::Off).build().unwrap();
        let gate = Gate::default();
        let mut load = Box::pin(cache.get_or_load(&1, || gate.then(10)));
        assert!(poll_once(&mut load).is_pending());
        match write {
            "evict" => assert!(cache.evict(&1).await.is_ok()),
            "put" => cache.insert(&1, 20).await.unwrap(),
            "clear" => assert!(cache.clear().await.is_ok()),
            _ => drop(cache.write(&1).await.unwrap()),
        }
        gate.open();
        assert_eq!(load.await, 10);
        assert_eq!(cache.peek(&1).await, (write == "put").then_some(20), "{write}");
    }
}

#[tokio::test]
async fn an_evict_during_a_refresh_is_not_undone_by_it() {
    let (cache, gate) = (cache(), Gate::default());
    cache.insert(&1, 10).await.unwrap();
    let mut refresh = Box::pin(cache.refresh(&1, || gate.then(11)));
    assert!(poll_once(&mut refresh).is_pending());
    cache.evict(&1).await.unwrap();
    gate.open();
    assert_eq!(refresh.await, 11);
    assert_eq!(cache.peek(&1).await, None);
}

#[tokio::test]
async fn a_refresh_retires_the_load_that_began_before_it() {
    let (cache, gate) = (cache(), Gate::default());
    let mut load = Box::pin(cache.get_or_load(&1, || gate.then(10)));
    assert!(poll_once(&mut load).is_pending());
    assert_eq!(cache.refresh(&1, || async { 11 }).await, 11, "it does not wait for it either");
    gate.open();
    assert_eq!(load.await, 10);
    assert_eq!(cache.peek(&1).await, Some(11), "the newer load stays");
}

/// Neither a batch nor a load alongside others leads a flight that a refresh could retire.
#[tokio::test]
async fn a_refresh_retires_a_batch_and_a_load_alongside_that_began_before_it() {
    let alongside = Cache::builder("alongside").single_flight(hybridcache::SingleFlight::Off);
    for (cache, batch) in [(cache(), true), (alongside.build().unwrap(), false)] {
        let gate = Gate::default();
        let read = async || {
            gate.pass().await;
            10
        };
        let mut load: std::pin::Pin<Box<dyn Future<Output = u64> + '_>> = if batch {
            Box::pin(async {
                let load = |_| async { Ok::<_, ()>([(1, read().await)].into()) };
                cache.get_many_or_load(&[1], load).await.unwrap()[0].unwrap()
            })
        } else {
            Box::pin(cache.get_or_load(&1, &read))
        };
        assert!(poll_once(&mut load).is_pending());
        assert_eq!(cache.refresh(&1, || async { 11 }).await, 11);
        gate.open();
        assert_eq!(load.await, 10);
        assert_eq!(cache.peek(&1).await, Some(11), "the newer load stays; batch: {batch}");
    }
}

#[tokio::test]
async fn whoever_misses_during_a_refresh_waits_for_it() {
    let (cache, gate) = (cache(), Gate::default());
    let mut refresh = Box::pin(cache.refresh(&1, || gate.then(11)));
    assert!(poll_once(&mut refresh).is_pending());
    let mut miss = Box::pin(cache.fetch(&1).load(Share::none(), |_| async { 99 }));
    assert!(poll_once(&mut miss).is_pending());
    gate.open();
    assert_eq!(refresh.await, 11);
    let miss = miss.await;
    assert_eq!((miss.result, miss.outcome), (11, Outcome::Shared));
}

#[tokio::test]
async fn a_load_that_began_under_a_write_is_kept_if_the_write_is_cancelled() {
    let cache = cache();
    let write = cache.write(&1).await.unwrap();
    assert_eq!(cache.get_or_load(&1, || async { 10 }).await, 10);
    assert_eq!(cache.peek(&1).await, Some(10));
    write.cancel();
    assert_eq!(cache.peek(&1).await, Some(10));
}
