//! Each promise, broken by hand: a judge who cannot find anything wrong proves nothing.

use super::*;

const SECOND: u64 = 1_000_000_000;
const D: u64 = SECOND / 4;
const PROMISES: Promises = Promises { staleness: D, overstay: 0, lifetime: |_| 10 * SECOND };

fn read(process: u64, what: What, start: u64, version: u64, load: u64) -> Operation {
    Operation { process, what, key: 1, start, end: start + 1, version, load, loaded_at: 0 }
}

fn write(process: u64, what: What, end: u64, version: u64) -> Operation {
    Operation { process, what, key: 1, start: end - 1, end, version, load: 0, loaded_at: 0 }
}

fn load(load: u64, start: u64, end: u64, version: u64) -> Load {
    Load { key: 1, load, version, start, end }
}

/// The promises that these break. All versions were committed long ago.
fn broken(history: History) -> Vec<&'static str> {
    let commits = (1..=9).map(|version| Commit { key: 1, version, at: 0 }).collect();
    let settled = if history.settled == 0 { u64::MAX } else { history.settled };
    let judgement = judge(&History { commits, settled, ..history }, &PROMISES);
    let mut broken: Vec<_> = judgement.violations.into_iter().map(|violation| violation.promise).collect();
    broken.dedup();
    broken
}

fn operations(operations: &[Operation]) -> History {
    History { operations: operations.to_vec(), ..History::default() }
}

#[test]
fn what_was_never_committed_is_found() {
    assert_eq!(broken(operations(&[read(1, What::Memory, 5, 10, 0)])), ["G0"]);
    assert!(broken(operations(&[read(1, What::Memory, 5, 0, 0), read(1, What::Memory, 5, 9, 0)])).is_empty());
}

#[test]
fn memory_may_be_as_old_as_the_bound_and_no_older() {
    let acknowledged = write(1, What::Evicted, SECOND, 2);
    let after = |lag| operations(&[acknowledged, read(2, What::Memory, SECOND + lag, 1, 0)]);
    assert!(broken(after(D)).is_empty());
    assert_eq!(broken(after(D + 1)), ["G2"]);
    let follower = operations(&[acknowledged, read(2, What::Shared, SECOND + D + 1, 1, 0)]);
    assert_eq!(broken(follower), ["G2"]);
    let found = |key, lag| {
        let of_key = |operation| Operation { key, ..operation };
        operations(&[of_key(acknowledged), of_key(read(2, What::Found, SECOND + lag, 0, 0))])
    };
    assert!(broken(found(1, D)).is_empty());
    assert_eq!(broken(found(1, D + 1)), ["G2"]);
    assert!(broken(found(KEYS, D)).contains(&"G1"), "memory has nothing of it");
    let queued = write(1, What::Deferred, SECOND, 2);
    assert!(broken(operations(&[queued, read(2, What::Memory, 2 * SECOND, 1, 0)])).is_empty(), "not acknowledged");
    let later = write(1, What::Evicted, SECOND, 3);
    let between = write(3, What::Evicted, 2 * SECOND, 2);
    let skipped = operations(&[between, later, read(2, What::Memory, 2 * SECOND, 1, 0)]);
    assert_eq!(broken(skipped), ["G2"], "the first of all newer versions counts");
}

#[test]
fn redis_and_loads_are_not_old_at_all() {
    for what in [What::Redis, What::Loaded, What::Uncached] {
        let history = |start| operations(&[write(1, What::Evicted, SECOND, 2), read(2, what, start, 1, 0)]);
        assert_eq!(broken(history(SECOND + 1)), ["G1"]);
        assert!(broken(history(SECOND)).is_empty(), "it began when the evict ended");
    }
}

#[test]
fn a_clear_may_take_as_long_as_the_bound_wherever_it_is_read() {
    for what in [What::Memory, What::Redis] {
        let after = |lag| operations(&[write(1, What::Cleared, SECOND, 2), read(2, what, SECOND + lag, 1, 0)]);
        assert!(broken(after(D)).is_empty());
        assert_eq!(broken(after(D + 1)), ["G7"]);
    }
}

#[test]
fn who_wrote_reads_it_though_the_evict_is_queued() {
    for what in [What::Evicted, What::Cleared, What::Deferred, What::Put, What::Told] {
        let history = |reader| operations(&[write(1, what, SECOND, 2), read(reader, What::Memory, SECOND + 1, 1, 0)]);
        assert_eq!(broken(history(1)), ["G3"]);
        assert!(broken(history(2)).is_empty());
    }
}

#[test]
fn a_process_reads_forwards() {
    let redis = |process, start, version| read(process, What::Redis, start, version, version);
    assert_eq!(broken(operations(&[redis(1, 5, 2), redis(1, 7, 1)])), ["G4"]);
    assert!(broken(operations(&[redis(1, 5, 2), redis(1, 6, 1)])).is_empty(), "they overlapped");
    assert!(broken(operations(&[redis(1, 5, 2), redis(2, 7, 1)])).is_empty(), "another process");
    let memory = operations(&[redis(2, 5, 2), read(1, What::Memory, 5, 2, 2), read(1, What::Memory, 7, 1, 1)]);
    assert_eq!(broken(memory), ["G4"], "the load is known to be kept");
    let unkept = operations(&[read(1, What::Uncached, 5, 2, 2), redis(1, 7, 1)]);
    assert!(broken(unkept).is_empty(), "not of what is kept nowhere");
}

#[test]
fn one_load_at_a_time_is_kept() {
    let kept = |loads: &[Load]| {
        let reads = loads.iter().map(|load| read(load.load, What::Redis, SECOND, load.version, load.load));
        History { operations: reads.collect(), loads: loads.to_vec(), ..History::default() }
    };
    assert_eq!(broken(kept(&[load(1, 10, 20, 1), load(2, 19, 30, 1)])), ["G8"]);
    assert!(broken(kept(&[load(1, 10, 20, 1), load(2, 20, 30, 1)])).is_empty());
    assert_eq!(broken(kept(&[load(1, 10, 20, 2), load(2, 20, 30, 1)])), ["G1"], "what is kept only gets newer");
    let unkept = History { loads: vec![load(1, 10, 20, 1), load(2, 19, 30, 1)], ..History::default() };
    assert!(broken(unkept).is_empty(), "nobody found them in Redis");
}

#[test]
fn a_strict_key_is_as_if_there_were_one() {
    let strict = |operation| Operation { key: STRICT, ..operation };
    let commits = || (0..3).map(|version| Commit { key: STRICT, version, at: 0 }).collect();
    let judged = |operations: &[Operation], losses| {
        let operations = operations.iter().copied().map(strict).collect();
        let history = History { operations, commits: commits(), losses, settled: u64::MAX, ..History::default() };
        judge(&history, &PROMISES)
    };
    // Read by one while it is written, and not by another afterwards: whose evict was acknowledged is not concerned.
    let back = [
        Operation { start: 10, ..write(1, What::Guarded, 100, 1) },
        read(2, What::Redis, 50, 1, 1),
        read(3, What::Redis, 60, 0, 0),
    ];
    let broken = |losses| judged(&back, losses).violations.iter().map(|broken| broken.promise).collect::<Vec<_>>();
    assert_eq!(broken(vec![]), ["G5"]);
    assert!(broken(vec![(5, 20)]).is_empty(), "its guard may have been lost");
    assert_eq!(broken(vec![(1, 9)]), ["G5"]);
    assert_eq!(judged(&back[..2], vec![]).looked["G5"], 2);
}

#[test]
fn what_a_failover_lost_is_repeated() {
    let lapse = Lapse { saved: SECOND, killed: 2 * SECOND, healed: 3 * SECOND };
    let lost = write(1, What::Evicted, SECOND + 1, 2);
    let after = |what, at, version| {
        let history = History { lapses: vec![lapse], ..operations(&[lost, read(2, what, at, version, 0)]) };
        broken(history).contains(&"G6")
    };
    assert!(!after(What::Redis, 3 * SECOND, 1), "it has yet to be");
    assert!(after(What::Redis, 3 * SECOND + 1, 1));
    assert!(!after(What::Redis, 3 * SECOND + 1, 2));
    assert!(!after(What::Memory, 3 * SECOND + D, 1));
    assert!(after(What::Memory, 3 * SECOND + D + 1, 1));
}

#[test]
fn nothing_outlives_its_lifetime() {
    assert_eq!(broken(operations(&[read(1, What::Memory, 10 * SECOND + 1, 1, 0)])), ["G10"]);
    assert!(broken(operations(&[read(1, What::Memory, 10 * SECOND, 1, 0)])).is_empty());
}

#[test]
fn in_the_end_everybody_has_the_newest_and_has_it_in_memory() {
    let end = |what, version| History {
        settled: 5,
        alive: vec![1],
        ..operations(&[read(1, what, 6, version, 0), read(1, what, 7, version, 0)])
    };
    assert!(broken(end(What::Memory, 9)).is_empty());
    assert_eq!(broken(end(What::Memory, 8)), ["liveness"]);
    assert_eq!(broken(end(What::Loaded, 9)), ["liveness"]);
    assert_eq!(
        broken(History { alive: vec![1, 2], ..end(What::Memory, 9) }),
        ["liveness"],
        "one reads nothing any more"
    );
}

#[test]
fn what_redis_lost_counts_again_once_it_was_repeated() {
    let lapse = Lapse { saved: SECOND, killed: 2 * SECOND, healed: 3 * SECOND };
    let with = |written, start, version| History {
        lapses: vec![lapse],
        ..operations(&[write(1, What::Evicted, written, 2), read(2, What::Redis, start, version, version)])
    };
    let lost = SECOND + SECOND / 2;
    assert_eq!(broken(with(lost, lost + 1, 1)), ["G1"], "before it is lost");
    assert!(broken(with(lost, 2 * SECOND, 1)).is_empty());
    assert!(broken(with(lost, 3 * SECOND, 1)).is_empty());
    assert_eq!(broken(with(lost, 3 * SECOND + 1, 1)), ["G1", "G6"], "after it was repeated");
    assert_eq!(broken(with(SECOND - 1, 2 * SECOND, 1)), ["G1"], "saved");
    let own = |what, read_at, lapse| {
        let history = operations(&[write(1, what, SECOND - 1, 2), read(1, What::Redis, read_at, 1, 1)]);
        broken(History { lapses: vec![lapse], ..history })
    };
    let later = Lapse { saved: 12 * SECOND, killed: 13 * SECOND, healed: 14 * SECOND };
    for what in [What::Deferred, What::Put, What::Unsure] {
        assert_eq!(own(what, SECOND, lapse), ["G3"], "before it is lost");
        assert!(own(what, 2 * SECOND, lapse).is_empty(), "it may have been sent only when that was lost already");
        assert_eq!(own(what, 3 * SECOND + 1, lapse), ["G3"], "after it was repeated");
        assert!(own(what, 13 * SECOND, later).contains(&"G3"), "it was sent long before");
    }
    assert!(own(What::Evicted, 2 * SECOND, lapse).contains(&"G3"));
    let backwards = |before, after| History {
        lapses: vec![lapse],
        ..operations(&[read(1, What::Redis, before, 2, 2), read(1, What::Redis, after, 1, 1)])
    };
    assert!(broken(backwards(SECOND, 2 * SECOND)).is_empty());
    assert!(broken(backwards(SECOND, 4 * SECOND)).is_empty());
    assert_eq!(broken(backwards(SECOND / 2, SECOND)), ["G4"]);
    assert_eq!(broken(backwards(4 * SECOND, 5 * SECOND)), ["G4"]);
}
