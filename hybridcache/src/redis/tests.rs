//! The driver against real servers. What the connections do when servers and networks fail is in `failing_tests`, what they refuse in `refused_tests`;
//! what writers keep from one another in `writers_tests`; the one on a runtime of the application in `near_tests`.

#[path = "../../../tests/proxy.rs"]
#[allow(dead_code, unreachable_pub)]
mod proxy;
#[path = "../../../tests/redis_server.rs"]
#[allow(dead_code, unreachable_pub)]
mod redis_server;
#[path = "../../../tests/ticks.rs"]
#[allow(unreachable_pub)]
mod ticks;

mod failing_tests;
mod near_tests;
mod refused_tests;
mod writers_tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::*;
use crate::coherence::node::{Mark, Partition};
use crate::driver::{Awaited, Bump, BusEvent, Driver, Fault, Filled, Found, Lives, Put};
use crate::error::ErrorKind;
use crate::record::{Record, SETTLING};
use crate::rt::block_on;
use proxy::Proxy;
use redis_server::RedisServer;
use ticks::Ticks;

const SECOND: Duration = Duration::from_secs(1);
const KEY: &[u8] = b"{hc:app:0}users:v1:7";

/// A driver that is patient, because the machine may be busy.
fn connect(url: &str) -> Arc<RedisDriver> {
    let options = RedisOptions::new(url).connect_timeout(5 * SECOND).read_timeout(5 * SECOND);
    block_on(RedisDriver::connect("app", options.write_timeout(5 * SECOND))).unwrap()
}

/// A driver as it is by default.
fn connect_by_default(url: &str) -> Arc<RedisDriver> {
    block_on(RedisDriver::connect("app", RedisOptions::new(url))).unwrap()
}

/// A record of a lease, as far as scripts look at it: 32 bytes.
fn lease(attempt: u128) -> Vec<u8> {
    [&[0xC1, b'h', 1, 3, 0, 0, 0, 0], &attempt.to_be_bytes()[..], &[0; 8]].concat()
}

/// A record of a value.
fn value(version: u128, payload: &[u8]) -> Vec<u8> {
    [&[0xC1, b'h', 1, 1, 0, 0, 0, 0], &version.to_be_bytes()[..], &[0; 8], &[0; 8], payload].concat()
}

fn flagged(lease: &[u8]) -> Vec<u8> {
    let mut lease = lease.to_vec();
    lease[4] = 1;
    lease
}

fn bump(chain: u128) -> Bump<'static> {
    Bump { chain, tail: b"tail" }
}

/// A put under no intent.
fn put(record: &[u8], lives: Lives) -> Put<'_> {
    Put { record, lives, ended: None, settle: Duration::ZERO }
}

const MINUTE: Lives = Lives { now: Duration::from_secs(60), at_most: None };

fn refused<T>(answer: Result<T, Fault>) -> String {
    match answer {
        Err(Fault::Refused { code }) => code,
        Err(fault) => panic!("{fault}"),
        Ok(_) => panic!("it was not refused"),
    }
}

/// Waits until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < 30 * SECOND, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a listener heard.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Up,
    Down,
    Message(Partition, Vec<u8>),
}

type Log = Arc<Mutex<Vec<Heard>>>;

fn listen(driver: &RedisDriver) -> Log {
    let log = Log::default();
    let into = Arc::clone(&log);
    driver.subscribe(Box::new(move |event| {
        into.lock().push(match event {
            BusEvent::Up => Heard::Up,
            BusEvent::Down => Heard::Down,
            BusEvent::Message { partition, bytes } => Heard::Message(partition, bytes.to_vec()),
        });
    }));
    until("it is up", || log.lock().contains(&Heard::Up));
    log
}

/// The numbers of a message: epoch, number, link before, link.
fn numbers(message: &[u8]) -> (u128, u64, u128, u128) {
    assert_eq!(message[0], 1);
    let nonce = |at: usize| u128::from_be_bytes(message[at..at + 16].try_into().unwrap());
    (nonce(1), u64::from_be_bytes(message[17..25].try_into().unwrap()), nonce(25), nonce(41))
}

fn messages(log: &Log, of: Partition) -> Vec<Vec<u8>> {
    let of_it = |heard: &Heard| match heard {
        Heard::Message(partition, bytes) if *partition == of => Some(bytes.clone()),
        _ => None,
    };
    log.lock().iter().filter_map(of_it).collect()
}

#[test]
fn the_first_to_miss_gets_the_lease_and_fills_and_the_next_reads() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        let (mine, record) = (lease(1), value(1, b"Ada"));
        assert!(driver.get(KEY, true).await.unwrap() == Found { record: None, remaining: None });
        assert!(driver.get_or_lease(KEY, &mine, 5 * SECOND, true).await.unwrap().record.is_none());
        let other = driver.get_or_lease(KEY, &lease(2), 5 * SECOND, true).await.unwrap();
        assert_eq!(other.record.as_deref(), Some(&mine[..]), "another sees whose turn it is");
        let left = other.remaining.unwrap();
        assert!(left <= 5 * SECOND && left > 4 * SECOND);
        assert!(driver.fill(KEY, &mine, &record, MINUTE, b"wake").await.unwrap() == Filled::Kept);
        let found = driver.get_or_lease(KEY, &lease(3), 5 * SECOND, true).await.unwrap();
        assert_eq!(found.record.as_deref(), Some(&record[..]));
        assert!(found.remaining.unwrap() > 59 * SECOND);
        assert!(driver.get(KEY, false).await.unwrap() == Found { record: Some(record), remaining: None });
    });
}

#[test]
fn what_comes_between_the_question_how_long_it_lives_and_its_read_is_not_said_to_live_for_ever() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let held_up = |clients| server.ask(&["INFO", "clients"]).text().contains(&format!("blocked_clients:{clients}\r"));
    // Reads are answered, and writes wait, and so a read with a lease is torn.
    server.ask(&["CLIENT", "PAUSE", "20000", "WRITE"]);
    let found = std::thread::scope(|scope| {
        scope.spawn(|| server.ask(&[&b"SET"[..], KEY, &value(1, b"v"), b"PX", b"1000"]));
        until("another puts it", || held_up(1));
        let found = scope.spawn(|| block_on(driver.get_or_lease(KEY, &lease(2), SECOND, true)));
        until("it is read", || held_up(2));
        server.ask(&["CLIENT", "UNPAUSE"]);
        found.join().unwrap().unwrap()
    });
    assert_eq!(found.record, Some(value(1, b"v")));
    assert_eq!(found.remaining, Some(Duration::ZERO));
}

#[test]
fn a_fill_after_an_evict_is_rejected() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        let mine = lease(1);
        driver.get_or_lease(KEY, &mine, 5 * SECOND, false).await.unwrap();
        driver.evict(&[KEY.to_vec()], None, None, bump(9)).await.unwrap();
        let filled = driver.fill(KEY, &mine, &value(1, b"old"), MINUTE, b"").await.unwrap();
        assert!(filled == Filled::Rejected);
        assert!(driver.get(KEY, false).await.unwrap().record.is_none());
        // A second attempt of the same node has another nonce: the first must not fill under it (ABA).
        let second = lease(2);
        driver.get_or_lease(KEY, &second, 5 * SECOND, false).await.unwrap();
        let filled = driver.fill(KEY, &mine, &value(1, b"old"), MINUTE, b"").await.unwrap();
        assert!(filled == Filled::Rejected);
        assert!(driver.fill(KEY, &second, &value(2, b"new"), MINUTE, b"").await.unwrap() == Filled::Kept);
        let filled = driver.fill(KEY, &mine, &value(1, b"old"), MINUTE, b"").await.unwrap();
        assert!(filled == Filled::Rejected);
    });
}

#[test]
fn a_waiter_flags_the_lease_and_is_woken_by_the_fill_or_the_release() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let log = listen(&driver);
    block_on(async {
        for (attempt, filled) in [(1, true), (2, false)] {
            let mine = lease(attempt);
            driver.get_or_lease(KEY, &mine, 5 * SECOND, false).await.unwrap();
            let Awaited::Flagged { remaining } = driver.await_fill(KEY, &mine).await.unwrap() else { panic!("gone") };
            assert!(remaining > 4 * SECOND && remaining <= 5 * SECOND);
            // Once more, by another waiter, who read it as it is now.
            assert!(driver.await_fill(KEY, &flagged(&mine)).await.unwrap() != Awaited::Gone);
            if filled {
                assert!(driver.fill(KEY, &mine, &value(1, b""), MINUTE, b"filled").await.unwrap() == Filled::Kept);
                assert!(driver.await_fill(KEY, &mine).await.unwrap() == Awaited::Gone);
                driver.evict(&[KEY.to_vec()], None, None, bump(9)).await.unwrap();
            } else {
                driver.release(KEY, &mine, b"released").await.unwrap();
                assert!(driver.await_fill(KEY, &mine).await.unwrap() == Awaited::Gone);
            }
        }
        // Nobody waits: nobody is woken, and a lease that is another's stays.
        driver.get_or_lease(KEY, &lease(3), 5 * SECOND, false).await.unwrap();
        driver.release(KEY, &lease(4), b"never").await.unwrap();
        assert_eq!(driver.get(KEY, false).await.unwrap().record, Some(lease(3)));
        driver.release(KEY, &lease(3), b"never").await.unwrap();
        driver.fence().await.unwrap();
    });
    let wakes: Vec<_> = messages(&log, Partition::Keys).into_iter().filter(|message| message[0] != 1).collect();
    assert_eq!(wakes, [b"filled".to_vec(), b"released".to_vec()]);
}

#[test]
fn a_lease_is_renewed_and_a_dead_record_leased_over_only_where_they_stand() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        let (mine, another, beside) = (lease(1), lease(2), b"{hc:app:0}users:v1:8");
        driver.get_or_lease(KEY, &mine, SECOND, false).await.unwrap();
        driver.get_or_lease(beside, &another, SECOND, false).await.unwrap();
        driver.await_fill(KEY, &mine).await.unwrap();
        let renew = async |lease, lives| driver.renew(&[(KEY, lease, lives)]).await.unwrap();
        assert_eq!(renew(&mine, 60 * SECOND).await, 1, "the flag makes no difference");
        assert!(driver.get(KEY, true).await.unwrap().remaining.unwrap() > 59 * SECOND);
        assert_eq!(renew(&another, SECOND).await, 0);
        let together =
            [(KEY, &another[..], SECOND), (beside, &another[..], 90 * SECOND), (KEY, &mine[..], 70 * SECOND)];
        assert_eq!(driver.renew(&together).await.unwrap(), 2, "those that stand, each for its time");
        for (key, lives) in [(KEY, 70), (beside, 90)] {
            let remaining = driver.get(key, true).await.unwrap().remaining.unwrap();
            assert!(remaining > (lives - 1) * SECOND && remaining <= lives * SECOND, "{remaining:?}");
        }
        driver.fill(KEY, &mine, b"garbage", MINUTE, b"").await.unwrap();
        assert_eq!(renew(&mine, SECOND).await, 0);
        assert!(!driver.lease_over(KEY, b"other", &lease(3), SECOND).await.unwrap());
        assert!(driver.lease_over(KEY, b"garbage", &lease(3), SECOND).await.unwrap());
        assert!(!driver.lease_over(KEY, b"garbage", &lease(4), SECOND).await.unwrap(), "one of two");
        assert_eq!(driver.get(KEY, false).await.unwrap().record, Some(lease(3)));
    });
}

#[test]
fn a_lease_over_a_lease_is_announced_to_who_waited_for_that_one() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let log = listen(&driver);
    block_on(async {
        driver.get_or_lease(KEY, &lease(1), SECOND, false).await.unwrap();
        driver.await_fill(KEY, &lease(1)).await.unwrap();
        assert!(driver.lease_over(KEY, &flagged(&lease(1)), &lease(2), 5 * SECOND).await.unwrap());
        assert_eq!(driver.get(KEY, false).await.unwrap().record, Some(flagged(&lease(2))));
        assert!(driver.fill(KEY, &lease(2), &value(2, b""), MINUTE, b"filled").await.unwrap() == Filled::Kept);
        driver.fence().await.unwrap();
        assert_eq!(messages(&log, Partition::Keys), [b"filled".to_vec()]);
        // Nobody waits for a value, whatever that byte says there.
        let dead = flagged(&value(2, b""));
        server.ask(&["SETRANGE", str::from_utf8(KEY).unwrap(), "4", "\x01"]);
        assert!(driver.lease_over(KEY, &dead, &lease(3), 5 * SECOND).await.unwrap());
        assert_eq!(driver.get(KEY, false).await.unwrap().record, Some(lease(3)));
    });
}

#[test]
fn touch_renews_exactly_one_version_up_to_its_end_and_never_a_lease() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        // A lease of the same nonce, as it stands before the fill, or again after a failover.
        driver.get_or_lease(KEY, &lease(1), 5 * SECOND, false).await.unwrap();
        assert_eq!(driver.touch(KEY, 1, 3600 * SECOND).await.unwrap(), None);
        assert!(driver.get(KEY, true).await.unwrap().remaining.unwrap() <= 5 * SECOND);
        driver.fill(KEY, &lease(1), &value(1, b"v"), MINUTE, b"").await.unwrap();
        assert_eq!(driver.touch(KEY, 2, 3600 * SECOND).await.unwrap(), None);
        assert!(driver.touch(KEY, 1, 3600 * SECOND).await.unwrap().is_some());
        assert!(driver.get(KEY, true).await.unwrap().remaining.unwrap() > 3599 * SECOND);
        assert_eq!(driver.touch(b"{hc:app:0}nothing", 1, SECOND).await.unwrap(), None);
        // With an end, which the server writes down by its own clock.
        driver.evict(&[KEY.to_vec()], None, None, bump(9)).await.unwrap();
        driver.get_or_lease(KEY, &lease(3), 5 * SECOND, false).await.unwrap();
        let lives = Lives { now: 10 * SECOND, at_most: Some(100 * SECOND) };
        driver.fill(KEY, &lease(3), &value(3, b"v"), lives, b"").await.unwrap();
        let found = driver.get(KEY, true).await.unwrap();
        assert!(found.remaining.unwrap() <= 10 * SECOND);
        let record = found.record.unwrap();
        let ends = u64::from_be_bytes(record[32..40].try_into().unwrap());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!((now + 95_000..=now + 100_000).contains(&ends), "{ends}");
        assert_eq!(record[40..], b"v"[..]);
        assert!(driver.touch(KEY, 3, 3600 * SECOND).await.unwrap().is_some());
        let left = driver.get(KEY, true).await.unwrap().remaining.unwrap();
        assert!(left <= 100 * SECOND && left > 95 * SECOND, "{left:?}");
    });
}

#[test]
fn evicts_make_an_unbroken_chain_that_all_hear_and_the_log_holds() {
    let server = RedisServer::start();
    let (driver, other) = (connect(&server.url()), connect(&server.url()));
    let log = listen(&other);
    block_on(async {
        let [meta, keys] = other.fence().await.unwrap();
        assert_eq!((meta.number, keys.number), (0, 0));
        assert_eq!((meta.epoch, keys.epoch), (meta.chain, keys.chain));
        assert_ne!(meta.epoch, keys.epoch);
        let mut marks = Vec::new();
        for chain in 101..=105 {
            marks.push(driver.evict(&[KEY.to_vec()], None, None, bump(chain)).await.unwrap().0);
        }
        assert_eq!(marks[4], Mark { epoch: keys.epoch, number: 5, chain: 105 });
        let fenced = other.fence().await.unwrap();
        assert_eq!(fenced, [meta, marks[4]]);
        // The answer to the fence came on the connection of the messages: they are here, without any wait.
        let heard = messages(&log, Partition::Keys);
        let chain: Vec<_> = heard.iter().map(|message| numbers(message)).collect();
        let epoch = keys.epoch;
        let expected = [(1, epoch, 101), (2, 101, 102), (3, 102, 103), (4, 103, 104), (5, 104, 105)];
        assert_eq!(chain, expected.map(|(number, before, link)| (epoch, number, before, link)));
        assert!(heard.iter().all(|message| message.ends_with(b"tail")));
        assert_eq!(driver.log_after(Partition::Keys, 0).await.unwrap(), heard);
        assert_eq!(driver.log_after(Partition::Keys, 3).await.unwrap(), heard[3..]);
        assert!(driver.log_after(Partition::Keys, 5).await.unwrap().is_empty());
        assert!(driver.log_after(Partition::Meta, 0).await.unwrap().is_empty());
        server.ask(&["XTRIM", "{hc:app:0}s", "MINID", "3-0"]);
        assert!(driver.log_after(Partition::Keys, 0).await.unwrap().is_empty(), "it does not reach back so far");
        assert_eq!(driver.log_after(Partition::Keys, 2).await.unwrap(), heard[2..]);
    });
}

/// A thousand keys of a cache that a process has in three versions, none of them next to another: each stands for nine.
#[test]
fn an_evict_of_more_keys_than_a_script_unpacks_is_executed() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let keys: Vec<_> = (0..9_000).map(|key| format!("{{hc:app:0}}users:v1:{key}").into_bytes()).collect();
    block_on(async {
        for key in [&keys[0], &keys[8_999]] {
            driver.put(key, &[], put(&value(1, b"v"), MINUTE), bump(1)).await.unwrap();
        }
        driver.evict(&keys, None, None, bump(2)).await.unwrap();
        for key in [&keys[0], &keys[8_999]] {
            assert!(driver.get(key, false).await.unwrap().record.is_none());
        }
    });
}

#[test]
fn a_long_log_is_read_a_part_at_a_time() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        for chain in 1..=300 {
            driver.bump(Partition::Keys, bump(chain)).await.unwrap();
        }
        server.ask(&["CONFIG", "RESETSTAT"]);
        for (after, reads) in [(0, 3), (44, 3), (45, 2), (300, 1)] {
            let log = driver.log_after(Partition::Keys, after).await.unwrap();
            assert!(log.iter().map(|message| numbers(message).1).eq(after + 1..=300), "{after}");
            let stats = server.ask(&["INFO", "commandstats"]).text();
            assert!(stats.contains(&format!("cmdstat_xrange:calls={reads},")), "{after}: {stats}");
            server.ask(&["CONFIG", "RESETSTAT"]);
        }
        server.ask(&["XDEL", "{hc:app:0}s", "200-0"]);
        assert!(driver.log_after(Partition::Keys, 0).await.unwrap().is_empty(), "a message is missing");
        let tail = &[b'.'; 60 << 10];
        for chain in 301..=334 {
            driver.bump(Partition::Keys, Bump { chain, tail }).await.unwrap();
        }
        assert_eq!(driver.log_after(Partition::Keys, 300).await.unwrap().len(), 34);
        driver.bump(Partition::Keys, Bump { chain: 335, tail }).await.unwrap();
        assert!(driver.log_after(Partition::Keys, 300).await.unwrap().is_empty(), "it is more than is gone through");
    });
}

#[test]
fn many_nodes_that_evict_at_once_take_each_number_once() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let log = listen(&driver);
    std::thread::scope(|scope| {
        for node in 0..8 {
            let driver = Arc::clone(&driver);
            scope.spawn(move || {
                for chain in 1..=50 {
                    let tail = u64::to_be_bytes(node);
                    block_on(driver.bump(Partition::Keys, Bump { chain: u128::from(node) << 64 | chain, tail: &tail }))
                        .unwrap();
                }
            });
        }
    });
    block_on(driver.fence()).unwrap();
    let heard = messages(&log, Partition::Keys);
    assert_eq!(heard.len(), 400);
    for (number, pair) in (2..).zip(heard.windows(2)) {
        let ((epoch, _, _, link), (same, n, before, _)) = (numbers(&pair[0]), numbers(&pair[1]));
        assert_eq!((epoch, number, link), (same, n, before));
    }
}

#[test]
fn an_evict_removes_what_is_there_whatever_it_is_and_may_leave_an_intent() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        let keys: Vec<_> = (0..1000).map(|at| format!("{{hc:app:0}}k{at}").into_bytes()).collect();
        server.ask(&["SADD", "{hc:app:0}k1", "of another type"]);
        server.ask(&["SET", "{hc:app:0}k999", "v"]);
        driver.evict(&keys, None, None, bump(1)).await.unwrap();
        assert_eq!(server.ask(&["EXISTS", "{hc:app:0}k1", "{hc:app:0}k999"]).text(), "0");
        driver.evict(&keys[..2], None, Some((7, 5 * SECOND)), bump(2)).await.unwrap();
        let found = driver.get(&keys[1], true).await.unwrap();
        assert!(matches!(Record::decode(&found.record.unwrap()), Ok(Record::Intent { .. })));
        assert!(found.remaining.unwrap() <= 5 * SECOND);
        assert_eq!(driver.evict(&[], None, None, bump(3)).await.unwrap().0.number, 3);
    });
}

#[test]
fn a_put_goes_to_all_that_hear_and_takes_other_versions_away() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let log = listen(&driver);
    block_on(async {
        let other = b"{hc:app:0}users:v0:7".to_vec();
        driver.get_or_lease(&other, &lease(8), SECOND, false).await.unwrap();
        let one = value(1, b"a");
        let (mark, done) = driver.put(KEY, std::slice::from_ref(&other), put(&one, MINUTE), bump(1)).await.unwrap();
        assert_eq!((mark.number, done), (1, true));
        assert_eq!(driver.get(KEY, false).await.unwrap().record, Some(one));
        assert!(driver.get(&other, false).await.unwrap().record.is_none());
        driver.fence().await.unwrap();
    });
    assert_eq!(messages(&log, Partition::Keys).len(), 1);
}

#[test]
fn clears_are_floors_and_lost_floors_are_a_new_epoch() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let log = listen(&driver);
    block_on(async {
        let (empty, none) = driver.floors().await.unwrap();
        assert_eq!((empty.number, none.len()), (0, 0));
        driver.clear("users", bump(1)).await.unwrap();
        // A name is a name, also that of a field of ours.
        driver.clear("e", bump(2)).await.unwrap();
        let mark = driver.clear("users", bump(3)).await.unwrap();
        let (at, mut floors) = driver.floors().await.unwrap();
        floors.sort();
        assert_eq!(at, mark);
        assert_eq!(at.epoch, empty.epoch);
        assert_eq!(floors, [("e".to_owned(), 2), ("users".to_owned(), 3)]);
        assert_eq!(messages(&log, Partition::Meta).len(), 3);
        // The table is evicted by the server while the number is not.
        server.ask(&["DEL", "{hc:app:m}f"]);
        let (anew, floors) = driver.floors().await.unwrap();
        assert_ne!(anew.epoch, at.epoch);
        assert_eq!((anew.number, floors.len()), (0, 0));
        // Or somebody else writes into it.
        for garbage in ["no number", "-1", ""] {
            let before = driver.clear("users", bump(1)).await.unwrap();
            server.ask(&["HSET", "{hc:app:m}f", "other", garbage]);
            let (after, floors) = driver.floors().await.unwrap();
            assert!(after.epoch != before.epoch && floors.is_empty(), "{garbage:?} is no floor");
        }
        let anew = driver.floors().await.unwrap().0;
        // And so it is where a clear finds it gone, and where everything is.
        server.ask(&["DEL", "{hc:app:m}f"]);
        let cleared = driver.clear("users", bump(4)).await.unwrap();
        assert_ne!(cleared.epoch, anew.epoch);
        assert_eq!(driver.floors().await.unwrap(), (cleared, vec![("users".to_owned(), 1)]));
        server.ask(&["FLUSHALL"]);
        let [meta, keys] = driver.fence().await.unwrap();
        assert_ne!(meta.epoch, cleared.epoch);
        assert_eq!((meta.number, keys.number), (0, 0));
        assert_eq!(driver.floors().await.unwrap(), (meta, Vec::new()));
    });
}

#[test]
fn numbers_of_another_shape_are_as_good_as_lost() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        for spoil in [
            &["SET", "{hc:app:0}q", "a string"][..],
            &["HSET", "{hc:app:0}q", "e", "too short"],
            &["HSET", "{hc:app:0}q", "n", "no number"],
            &["HSET", "{hc:app:0}q", "n", "1.5"],
            &["HSET", "{hc:app:0}q", "n", "-1"],
            &["HSET", "{hc:app:0}q", "n", "9223372036854775807"],
            &["HDEL", "{hc:app:0}q", "c"],
        ] {
            let (before, _) = driver.evict(&[], None, None, bump(1)).await.unwrap();
            server.ask(&["DEL", "{hc:app:0}x"]);
            server.ask(spoil);
            let after = driver.fence().await.unwrap()[1];
            assert_ne!(after.epoch, before.epoch, "{spoil:?}");
            server.ask(spoil);
            assert_ne!(driver.evict(&[], None, None, bump(2)).await.unwrap().0.epoch, after.epoch, "{spoil:?}");
        }
        // A log that is ahead of the numbers, or none at all, does not hold an evict up.
        server.ask(&["DEL", "{hc:app:0}s"]);
        server.ask(&["XADD", "{hc:app:0}s", "99999-0", "m", "x"]);
        driver.evict(&[], None, None, bump(3)).await.unwrap();
        server.ask(&["SET", "{hc:app:0}s", "x"]);
        let (mark, _) = driver.evict(&[], None, None, bump(4)).await.unwrap();
        assert_eq!(driver.log_after(Partition::Keys, mark.number - 1).await.unwrap().len(), 1);
        server.ask(&["SET", "{hc:app:m}f", "x"]);
        assert!(driver.floors().await.unwrap().1.is_empty());
    });
}

#[test]
fn scripts_that_the_server_forgot_are_sent_again_in_the_same_call() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        for number in 1..=3 {
            server.ask(&["SCRIPT", "FLUSH"]);
            assert_eq!(driver.evict(&[KEY.to_vec()], None, None, bump(number)).await.unwrap().0.number, number as u64);
        }
    });
    assert_eq!([driver, connect(&server.url())].map(|driver| driver.health().refused), [0, 0], "nothing is wrong");
}

#[test]
fn what_a_small_value_replaces_holds_up_nothing_small_either() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        let large = value(1, &[7; LARGE]);
        driver.put(KEY, &[], put(&large, MINUTE), bump(1)).await.unwrap();
        driver.large.close();
        let small = value(2, b"small");
        let reload = driver.fill(KEY, &large, &small, MINUTE, b"").await;
        assert!(matches!(reload, Err(Fault::Down)), "it does not go by the connection of what is small");
        assert!(driver.fill(KEY, &lease(1), &small, MINUTE, b"").await.unwrap() == Filled::Rejected);
    });
}

#[test]
fn large_values_have_a_connection_of_their_own() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        let record = value(1, &vec![7; 3 * 1024 * 1024]);
        driver.get_or_lease(KEY, &lease(1), 5 * SECOND, false).await.unwrap();
        driver.fill(KEY, &lease(1), &record, MINUTE, b"").await.unwrap();
        for _ in 0..2 {
            assert!(driver.get(KEY, false).await.unwrap().record.as_ref() == Some(&record));
        }
        let known = driver.large_keys.iter().filter(|key| key.load(std::sync::atomic::Ordering::Relaxed) != 0).count();
        assert_eq!(known, 1, "the second read knew");
        driver.evict(&[KEY.to_vec()], None, None, bump(1)).await.unwrap();
        assert!(driver.get(KEY, false).await.unwrap().record.is_none());
        assert!(driver.large_keys.iter().all(|key| key.load(std::sync::atomic::Ordering::Relaxed) == 0));
    });
}

#[test]
fn every_operation_is_one_round_trip() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let driver = connect(&proxy.url());
    let keys = [KEY.to_vec()];
    let record = value(1, b"v");
    // Once for the scripts and the epochs.
    let mut cost = Vec::new();
    for round in 0..2 {
        let mut count = |name: &'static str, answer: &mut dyn FnMut()| {
            let before = proxy.turns();
            answer();
            if round == 1 {
                cost.push((name, proxy.turns() - before));
            }
        };
        count("get", &mut || block_on(driver.get(KEY, true)).map(drop).unwrap());
        count("get_or_lease", &mut || block_on(driver.get_or_lease(KEY, &lease(1), SECOND, true)).map(drop).unwrap());
        count("await_fill", &mut || block_on(driver.await_fill(KEY, &lease(1))).map(drop).unwrap());
        count("renew", &mut || assert_eq!(block_on(driver.renew(&[(KEY, &lease(1), SECOND)])).unwrap(), 1));
        count("fill", &mut || block_on(driver.fill(KEY, &lease(1), &record, MINUTE, b"w")).map(drop).unwrap());
        count("touch", &mut || assert!(block_on(driver.touch(KEY, 1, SECOND)).unwrap().is_some()));
        count("lease_over", &mut || assert!(block_on(driver.lease_over(KEY, &record, &lease(2), SECOND)).unwrap()));
        count("release", &mut || block_on(driver.release(KEY, &lease(2), b"w")).unwrap());
        count("put", &mut || block_on(driver.put(KEY, &keys, put(&record, MINUTE), bump(1))).map(drop).unwrap());
        count("evict", &mut || block_on(driver.evict(&keys, None, None, bump(2))).map(drop).unwrap());
        count("clear", &mut || block_on(driver.clear("users", bump(3))).map(drop).unwrap());
        count("bump", &mut || block_on(driver.bump(Partition::Meta, bump(4))).map(drop).unwrap());
        count("fence", &mut || block_on(driver.fence()).map(drop).unwrap());
        count("floors", &mut || block_on(driver.floors()).map(drop).unwrap());
        count("log_after", &mut || block_on(driver.log_after(Partition::Meta, 0)).map(drop).unwrap());
    }
    assert!(cost.len() == 15 && cost.iter().all(|(_, turns)| *turns == 1), "{cost:?}");
}
