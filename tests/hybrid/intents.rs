//! Intents that nobody needs any more are taken away as soon as Redis can be reached, and do not stand for their thirty seconds.

use std::time::{Duration, Instant};

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, ErrorKind, OnOutage};
use hybridcache_tests::proxy::Proxy;
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, SECOND, until};

use crate::{hasty, load, node, node_at, numbers};

/// A cache whose writes do not begin where Redis does not say that they have.
fn firm(node: &CacheManager) -> Cache<u64, u64> {
    Cache::builder("numbers").ttl(MINUTE).on_outage(OnOutage::Fail).hybrid(MsgPack).manager(node).build().unwrap()
}

/// Whether a load fills again, long before an intent would have ended by itself.
async fn is_filled_again(server: &RedisServer, cache: &Cache<u64, u64>, key: u64) {
    let began = Instant::now();
    let record = format!("{{hc:test:0}}numbers:v1:{key}");
    until("the intent is gone", || server.ask(&["EXISTS", &record]).text() == "0").await;
    assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
    let fills = cache.stats().remote.fills;
    until("it may be filled", || {
        cache.blocking().refresh(&key, || 1);
        cache.stats().remote.fills > fills
    })
    .await;
}

/// Whether something stands in the place of a key.
fn standing(server: &RedisServer, key: u64) -> bool {
    server.ask(&["EXISTS", &format!("{{hc:test:0}}numbers:v1:{key}")]).text() == "1"
}

/// A server that stops before a write begins: what is sent now is executed when it goes on, though nobody waits for the answer any
/// more. It knows the script, or it would ask for that first.
async fn stops(server: &RedisServer, cache: &Cache<u64, u64>) {
    cache.evict(&0).await.unwrap();
    server.pause();
}

/// The write is begun: evicts look for intents from then on.
async fn goes_on(server: &RedisServer) {
    server.resume();
    until("the write is begun", || server.ask(&["EXISTS", "{hc:test:0}w"]).text() == "1").await;
}

#[tokio::test]
async fn a_write_that_did_not_begin_keeps_nobody_from_filling() {
    let server = RedisServer::start();
    let node = hasty(server.url()).await;
    let cache = firm(&node);
    stops(&server, &cache).await;
    let error = cache.write(&7).await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Outage { .. }), "{error}");
    goes_on(&server).await;
    is_filled_again(&server, &cache, 7).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_guarded_write_that_did_not_begin_keeps_nobody_from_filling() {
    let server = RedisServer::start();
    let node = hasty(server.url()).await;
    let cache = firm(&node);
    stops(&server, &cache).await;
    let written = cache.guarded_write([&7, &8], || async { unreachable!("it did not begin") }).await;
    let error = written.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Outage { .. }), "{error}");
    goes_on(&server).await;
    is_filled_again(&server, &cache, 7).await;
    is_filled_again(&server, &cache, 8).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_guarded_write_whose_caller_left_before_it_began_keeps_nobody_from_filling() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = numbers(&node);
    stops(&server, &cache).await;
    let write = cache.guarded_write([&7], || async { unreachable!("it did not begin") });
    assert!(tokio::time::timeout(Duration::from_millis(50), write).await.is_err(), "the server says nothing");
    goes_on(&server).await;
    is_filled_again(&server, &cache, 7).await;
    node.shutdown().await;
}

/// The error is the same; what the write left outside of it is not.
#[tokio::test]
async fn a_guarded_write_that_ran_is_told_from_one_that_did_not_begin() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let node = node_at(proxy.url()).await;
    let cache = firm(&node);
    let mut wrote = Vec::new();
    for number in [1, 2] {
        let written = cache.guarded_write([&7], async || {
            proxy.refuse(true);
            proxy.cut();
            until("it is known to be gone", || !node.remote_health().unwrap().connected).await;
            wrote.push(number);
        });
        let error = written.await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Outage { .. }), "{error}");
    }
    assert_eq!(wrote, [1], "the first has ended without Redis, and the second not begun");
    proxy.refuse(false);
    is_filled_again(&server, &cache, 7).await;
    node.shutdown().await;
}

#[tokio::test]
async fn the_end_of_a_write_that_redis_did_not_hear_of_is_sent_when_it_can_be_reached() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let node = node_at(proxy.url()).await;
    let cache = numbers(&node);
    let runs = Runs::default();
    let goes_away = async || {
        proxy.refuse(true);
        proxy.cut();
        // A connection is cut a moment later: until then it would carry the end of a write.
        until("it is known to be gone", || !node.remote_health().unwrap().connected).await;
    };
    let [put, dropped, cancelled] = [7, 8, 9];
    let writes = [cache.write(&put).await, cache.write(&dropped).await, cache.write(&cancelled).await];
    let [to_put, to_drop, to_cancel] = writes.map(Result::unwrap);
    cache.guarded_write([&10], goes_away).await.unwrap();
    to_put.put(70).await.unwrap();
    drop(to_drop);
    to_cancel.cancel();
    load(&cache, 10, &runs).await;
    for key in [put, dropped, cancelled, 10] {
        assert_eq!(server.ask(&["EXISTS", &format!("{{hc:test:0}}numbers:v1:{key}")]).text(), "1", "nobody told it");
    }
    proxy.refuse(false);
    for key in [put, dropped, cancelled, 10] {
        is_filled_again(&server, &cache, key).await;
    }
    node.shutdown().await;
}

#[tokio::test]
async fn a_write_that_is_given_up_before_a_shutdown_leaves_nothing_in_the_way() {
    let server = RedisServer::start();
    for drops in [false, true] {
        let node = node(&server).await;
        let write = numbers(&node).write(&7).await.unwrap();
        assert_eq!(server.ask(&["EXISTS", "{hc:test:0}numbers:v1:7"]).text(), "1");
        if drops {
            drop(write)
        } else {
            write.cancel()
        }
        node.shutdown().await;
        assert_eq!(server.ask(&["EXISTS", "{hc:test:0}numbers:v1:7"]).text(), "0");
    }
}

#[tokio::test]
async fn a_shutdown_ends_all_intents_also_those_that_a_heartbeat_was_about_to_end() {
    const WRITES: u64 = 50;
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    // So that one after the other takes a while.
    proxy.delay(Duration::from_millis(2), Duration::ZERO);
    let intents = || (0..WRITES).filter(|key| standing(&server, *key)).count();
    // Whether it did all it was to do, and not all that there is a second for.
    let shuts_down = async || {
        let node = node_at(proxy.url()).await;
        let cache = numbers(&node);
        let mut writes = Vec::new();
        for key in 0..WRITES {
            writes.push(cache.write(&key).await.unwrap());
        }
        assert_eq!(intents(), WRITES as usize);
        proxy.refuse(true);
        proxy.cut();
        until("it is known to be gone", || !node.remote_health().unwrap().connected).await;
        drop(writes);
        proxy.refuse(false);
        until("they are being ended", || !standing(&server, 0)).await;
        let began = Instant::now();
        node.shutdown().await;
        began.elapsed() < SECOND
    };
    for busy in 0.. {
        if shuts_down().await {
            break;
        }
        assert!(busy < 20, "it takes longer than it is waited for");
        server.ask(&["FLUSHALL"]);
    }
    assert_eq!(intents(), 0);
}

/// A second write of the key is not touched by what is left of the first.
#[tokio::test]
async fn what_is_taken_away_is_the_intent_of_the_write_that_is_over() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let far = node_at(proxy.url()).await;
    let near = node(&server).await;
    let (here, there) = (numbers(&far), numbers(&near));
    let over = here.write(&7).await.unwrap();
    let second = there.write(&7).await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    until("it is known to be gone", || !far.remote_health().unwrap().connected).await;
    drop(over);
    let writers = || server.ask(&["STRLEN", "{hc:test:0}numbers:v1:7"]).text();
    assert_eq!(writers(), "56", "two");
    proxy.refuse(false);
    until("one is gone", || writers() == "32").await;
    second.cancel();
    is_filled_again(&server, &there, 7).await;
    far.shutdown().await;
    near.shutdown().await;
}
