//! What callers get while Redis is away, and afterwards.

use std::time::Duration;

use hybridcache::codec::MsgPack;
use hybridcache::{Builder, Cache, CacheManager, Consistency, ErrorKind, Evicted, OnOutage, Tier};
use hybridcache_tests::proxy::{Lane, Proxy};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::ticks::Ticks;
use hybridcache_tests::{MINUTE, Runs, SECOND, until};

use crate::{hasty, in_step, load, load_into_memory, node, node_at, numbers, patience};

/// Whatever is loaded now is kept for a moment: a machine that is held up for longer than that between two calls loads it again.
async fn kept_for_a_moment(cache: &Cache<u64, u64>, key: u64, runs: &Runs) -> u64 {
    let (mut last, tier) = load(cache, key, runs).await;
    assert_eq!(tier, Tier::Source, "nobody had it");
    for _ in 0..20 {
        let (value, tier) = load(cache, key, runs).await;
        if tier == Tier::Memory {
            assert_eq!(value, last);
            return value;
        }
        last = value;
    }
    panic!("what is new is not kept");
}

#[tokio::test]
async fn callers_get_their_value_while_redis_is_stopped() {
    let server = RedisServer::start();
    let node = hasty(server.url()).await;
    let cache = numbers(&node);
    let runs = Runs::default();
    load(&cache, 1, &runs).await;
    server.pause();
    let slowest = {
        let mut slowest = Duration::ZERO;
        for key in 100..140 {
            let began = Ticks::start();
            assert_eq!(load(&cache, key, &runs).await.1, Tier::Source);
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    server.resume();
    assert!(slowest < 2 * SECOND, "no call waits for longer than its deadlines: {slowest:?}");
    assert!(cache.stats().remote.degraded > 0);
    in_step(&node).await;
    until("and is filled again", || {
        cache.blocking().refresh(&200, || runs.run());
        cache.stats().remote.fills >= 2
    })
    .await;
    node.shutdown().await;
}

#[tokio::test]
async fn an_outage_is_coalesced_and_kept_for_a_moment_only() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> = Cache::builder("numbers")
        .ttl(MINUTE)
        .degraded_ttl(Duration::from_millis(200))
        .hybrid(MsgPack)
        .manager(&node)
        .build()
        .unwrap();
    let runs = Runs::default();
    load(&cache, 1, &runs).await;
    server.kill();
    until("nobody vouches for memory any more", || node.remote_health().is_some_and(|health| !health.in_step)).await;
    let first = kept_for_a_moment(&cache, 7, &runs).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_ne!(load(&cache, 7, &runs).await.0, first, "and then loaded again");
    server.restart();
    in_step(&node).await;
    let (again, tier) = load(&cache, 7, &runs).await;
    assert_eq!(tier, Tier::Source, "what was loaded in the outage is not served any more: {again}");
    node.shutdown().await;
}

#[tokio::test]
async fn an_evict_in_an_outage_is_sent_when_redis_is_back() {
    let server = RedisServer::start();
    let (a, b) = (hasty(server.url()).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    load(&here, 7, &runs).await;
    server.pause();
    assert_eq!(here.evict(&7).await, Ok(Evicted::Deferred));
    assert!(a.remote_health().unwrap().deferred);
    let (value, tier) = load(&here, 7, &runs).await;
    assert_eq!((value, tier), (2, Tier::Source), "whoever evicted does not get the old value");
    server.resume();
    until("it is sent", || !a.remote_health().unwrap().deferred).await;
    assert_ne!(load(&there, 7, &runs).await.0, 1, "and the old value is gone");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn of_a_put_in_an_outage_the_evict_is_sent_when_redis_is_back() {
    let server = RedisServer::start();
    let (a, b) = (hasty(server.url()).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    load(&here, 7, &runs).await;
    server.pause();
    assert_eq!(here.insert(&7, 100).await, Ok(()));
    assert!(a.remote_health().unwrap().deferred);
    assert_eq!(here.peek(&7).await, None, "neither the old value nor the new one");
    server.resume();
    until("it is sent", || !a.remote_health().unwrap().deferred).await;
    assert_eq!(load(&there, 7, &runs).await, (2, Tier::Source));
    a.shutdown().await;
    b.shutdown().await;
}

/// Cuts the connections of a node, and lets it have no others.
async fn cut_off(proxy: &Proxy, node: &CacheManager) {
    proxy.refuse(true);
    proxy.cut();
    let health = || node.remote_health().unwrap();
    until("both are known to be gone", || !health().connected && !health().subscribed).await;
}

#[tokio::test]
async fn what_was_missed_while_all_connections_were_cut_is_read_from_the_log() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let a = node_at(proxy.url()).await;
    let b = node(&server).await;
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    in_step(&a).await;
    let health = || a.remote_health().unwrap();
    // Each connection is attempted by itself, and that of the log is not always the first.
    for _ in 0..4 {
        load_into_memory(&here, 7, &runs).await;
        let (floors, loads) = (health().floors_raised, runs.count());
        cut_off(&proxy, &a).await;
        there.evict(&8).await.unwrap();
        proxy.refuse(false);
        a.after(b.token().unwrap()).await;
        assert_eq!(health().floors_raised, floors, "the log has it");
        assert_eq!((load(&here, 7, &runs).await.1, runs.count()), (Tier::Memory, loads));
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn how_much_waits_to_be_sent_and_what_was_missed_is_told() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let behind = node_at(proxy.url()).await;
    let other = node(&server).await;
    let (here, there) = (numbers(&behind), numbers(&other));
    in_step(&behind).await;
    let health = || behind.remote_health().unwrap();
    let floors = health().floors_raised;
    assert_eq!((health().queued, health().gaps), (0, 0));
    cut_off(&proxy, &behind).await;
    here.evict_many(&[1, 2, 3]).await.unwrap();
    here.insert(&3, 3).await.unwrap();
    // What is tried in vain meanwhile is counted beside what came after it.
    until("each key is queued once", || health().queued == 3 && health().deferred).await;
    here.clear().await.unwrap();
    until("what was cleared has no keys", || health().queued == 1).await;
    there.evict(&4).await.unwrap();
    proxy.refuse(false);
    until("it is sent, and what was missed is heard", || {
        here.blocking().get(&5);
        health().queued == 0 && health().in_step && health().gaps > 0
    })
    .await;
    assert_eq!((health().deferred, health().floors_raised), (false, floors), "the log had it");
    behind.shutdown().await;
    other.shutdown().await;
}

#[tokio::test]
async fn how_late_the_bus_is_is_told() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let node = node_at(proxy.url()).await;
    let cache = numbers(&node);
    let slow = Duration::from_millis(150);
    let told = async |late: bool| {
        until("it is told", || {
            // Who asks nothing is told nothing.
            cache.blocking().get(&7);
            node.remote_health().unwrap().bus_lag.is_some_and(|lag| (lag >= slow) == late)
        })
        .await;
    };
    told(false).await;
    proxy.delay(slow, Duration::ZERO);
    told(true).await;
    proxy.delay(Duration::ZERO, Duration::ZERO);
    told(false).await;
    node.shutdown().await;
}

#[tokio::test]
async fn an_evict_that_must_not_wait_fails() {
    let server = RedisServer::start();
    let node = hasty(server.url()).await;
    let cache: Cache<u64, u64> =
        Cache::builder("numbers").ttl(MINUTE).hybrid(MsgPack).on_outage(OnOutage::Fail).manager(&node).build().unwrap();
    server.pause();
    let error = cache.evict(&7).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Outage { .. }), "{error}");
    assert!(cache.insert(&7, 100).await.is_err());
    assert!(node.remote_health().unwrap().deferred, "it is queued all the same");
    server.resume();
    until("it is sent", || !node.remote_health().unwrap().deferred).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_restart_that_lost_everything_is_noticed() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = numbers(&node);
    let runs = Runs::default();
    load(&cache, 7, &runs).await;
    server.kill();
    server.restart();
    until("it is in step again", || {
        let health = node.remote_health().unwrap();
        health.in_step && health.floors_raised > 0
    })
    .await;
    until("it loads from the source", || cache.blocking().peek(&7).is_none()).await;
    assert_eq!(load(&cache, 7, &runs).await, (2, Tier::Source));
    node.shutdown().await;
}

fn eventual(node: &CacheManager) -> Builder<u64, u64> {
    Cache::builder("numbers").ttl(MINUTE).hybrid(MsgPack).consistency(Consistency::Eventual).manager(node)
}

#[tokio::test]
async fn eventual_memory_answers_through_an_outage() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = eventual(&node).build().unwrap();
    let runs = Runs::default();
    load_into_memory(&cache, 7, &runs).await;
    server.kill();
    for _ in 0..100 {
        assert_eq!(load(&cache, 7, &runs).await.1, Tier::Memory);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    kept_for_a_moment(&cache, 8, &runs).await;
    node.shutdown().await;
}

#[tokio::test]
async fn eventual_memory_answers_no_longer_than_it_may_be_disconnected() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = eventual(&node).max_disconnected(SECOND).build().unwrap();
    let runs = Runs::default();
    load_into_memory(&cache, 7, &runs).await;
    server.kill();
    until("nobody vouches for it any more", || cache.blocking().peek(&7).is_none()).await;
    assert_eq!(cache.len(), 1);
    server.restart();
    node.shutdown().await;
}

/// Commands are answered, and on the bus nothing is: this machine may have been up for less than it may be disconnected.
#[tokio::test]
async fn eventual_memory_does_not_answer_before_the_first_word() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let other = node(&server).await;
    in_step(&other).await;
    proxy.blackhole_lane(Lane::Bus, false, true);
    let redis = patience(proxy.url()).connect_lazily().connect_timeout(SECOND / 2);
    let node = CacheManager::builder().namespace("test").redis_options(redis).build().await.unwrap();
    let cache = eventual(&node).max_disconnected(1_000_000 * MINUTE).build().unwrap();
    let runs = Runs::default();
    assert_eq!(load(&cache, 7, &runs).await, (1, Tier::Source));
    assert_eq!(node.remote_health().unwrap().last_word, None);
    assert_eq!(load(&cache, 7, &runs).await, (1, Tier::Redis));
    node.shutdown().await;
    other.shutdown().await;
}

#[tokio::test]
async fn another_programs_value_is_a_miss_and_is_overwritten() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = numbers(&node);
    server.ask(&["SET", "{hc:test:0}numbers:v1:7", "not ours"]);
    let runs = Runs::default();
    assert_eq!(load(&cache, 7, &runs).await, (1, Tier::Source));
    assert_eq!(cache.stats().remote.undecodable, 1);
    assert_eq!(cache.stats().remote.fills, 1);
    server.ask(&["DEL", "{hc:test:0}numbers:v1:8"]);
    server.ask(&["LPUSH", "{hc:test:0}numbers:v1:8", "a list"]);
    assert_eq!(load(&cache, 8, &runs).await.1, Tier::Source, "a list is no value either");
    node.shutdown().await;
}

/// A master that has lost its replicas refuses what it is asked to find out where it stands, too.
#[tokio::test]
async fn a_server_that_refuses_is_asked_once_in_a_heartbeat_where_it_stands() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = numbers(&node);
    let runs = Runs::default();
    load(&cache, 7, &runs).await;
    in_step(&node).await;
    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    until("it is refused", || node.remote_health().is_some_and(|health| !health.in_step)).await;
    let before = node.remote_health().unwrap().refused;
    tokio::time::sleep(2 * SECOND).await;
    // Two commands each time.
    let refused = node.remote_health().unwrap().refused - before;
    assert!((2..=20).contains(&refused), "{refused}");
    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    in_step(&node).await;
    node.shutdown().await;
}

#[tokio::test]
async fn what_a_full_server_does_not_take_memory_keeps_for_a_moment() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    load(&here, 1, &runs).await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    in_step(&a).await;
    let first = kept_for_a_moment(&here, 7, &runs).await;
    assert_eq!(there.evict(&7).await, Ok(Evicted::Acknowledged));
    until("what another evicts is heard of", || here.blocking().peek(&7).is_none()).await;
    let (second, _) = load(&here, 7, &runs).await;
    until("it is kept for a moment only", || here.blocking().peek(&7).is_none()).await;
    assert!(load(&here, 7, &runs).await.0 > second && second > first);
    a.shutdown().await;
    b.shutdown().await;
}

/// What the system has not got at the beginning it may have later.
#[test]
fn a_manager_is_built_where_one_could_not_be_for_want_of_file_descriptors() {
    const NAME: &str = "outage::a_manager_is_built_where_one_could_not_be_for_want_of_file_descriptors";
    // The limit is that of a process, and so is what was tried before: this is done in one of its own.
    if std::env::var_os("HYBRIDCACHE_FEW_FILES").is_none() {
        let mut alone = std::process::Command::new("sh");
        alone.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
        let done = alone.args(["--exact", NAME, "--nocapture"]).env("HYBRIDCACHE_FEW_FILES", "").status().unwrap();
        return assert!(done.success());
    }
    let server = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut all = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        all.push(file);
    }
    assert!(runtime.block_on(CacheManager::builder().redis(server.url()).build()).is_err());
    drop(all);
    runtime.block_on(async { node(&server).await.shutdown().await });
}

/// Loads what the cache lacks of these keys, as themselves.
async fn load_many(cache: &Cache<u64, u64>, keys: &[u64], runs: &Runs) {
    let loader = |keys: Vec<u64>| async {
        runs.run();
        Ok::<_, String>(keys.into_iter().map(|key| (key, key)).collect())
    };
    assert!(cache.get_many_or_load(keys, loader).await.unwrap().into_iter().eq(keys.iter().copied().map(Some)));
}

#[tokio::test]
async fn what_a_batch_may_not_fill_is_counted_as_of_other_loads() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    load(&here, 1, &runs).await;
    there
        .get_or_load(&7, || async {
            load_many(&here, &[7, 8], &runs).await;
            7
        })
        .await;
    let counted = || {
        let remote = here.stats().remote;
        (remote.fills, remote.unfilled, remote.degraded)
    };
    assert_eq!(counted(), (2, 1, 0), "another process loads one of them");
    server.kill();
    load_many(&here, &[20, 21, 22], &runs).await;
    assert_eq!(counted(), (2, 1, 3));
    for node in [a, b] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn what_is_asked_in_vain_of_clears_is_a_fault_too() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = numbers(&node);
    server.kill();
    let runs = Runs::default();
    until("the connection is lost", || node.remote_health().is_some_and(|health| !health.connected)).await;
    load(&cache, 7, &runs).await;
    let remote = cache.stats().remote;
    assert_eq!((remote.degraded, remote.faults), (1, 1), "nothing is known of clears, and nobody says it");
    node.shutdown().await;
}

#[tokio::test]
async fn what_a_batch_loads_in_an_outage_is_kept_for_a_moment_too() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = numbers(&node);
    let runs = Runs::default();
    server.kill();
    until("nobody vouches for memory", || node.remote_health().is_some_and(|health| !health.in_step)).await;
    // As of [`kept_for_a_moment`].
    while cache.stats().hits < 3 {
        load_many(&cache, &[7, 8, 9], &runs).await;
        assert!(runs.count() < 20, "what is new is not kept");
    }
    let loads = runs.count();
    assert_eq!(cache.len(), 3);
    tokio::time::sleep(SECOND + Duration::from_millis(50)).await;
    load_many(&cache, &[7, 8, 9], &runs).await;
    assert_eq!(runs.count(), loads + 1, "and then loaded again");
    node.shutdown().await;
}
