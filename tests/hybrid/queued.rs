//! An evict that could only be queued is in effect in its own process.

use std::time::Duration;

use hybridcache::codec::MsgPack;
use hybridcache::{Builder, Cache, CacheManager, Evicted, Share, Tier};
use hybridcache_tests::proxy::{Lane, Proxy};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, SECOND, until};

use crate::{node, node_at, patience};

async fn read(cache: &Cache<u64, String>, key: u64, letter: &str) -> (String, Tier) {
    let fetched = cache.fetch(&key).load(Share::none(), |_| async { letter.repeat(300_000) }).await;
    (fetched.result[..1].to_owned(), fetched.tier)
}

/// Large values have a connection of their own: there the old one is still to be had while the evict is not answered.
#[tokio::test]
async fn what_was_read_while_an_evict_was_not_answered_is_gone_when_it_is_queued() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    // The evict is not to be waited for, and all that is read is.
    let options = patience(proxy.url()).write_timeout(SECOND / 2);
    let behind = CacheManager::builder().namespace("test").redis_options(options).build();
    let texts = |node| Cache::builder("texts").ttl(MINUTE).hybrid(MsgPack).manager(node).build().unwrap();
    let (a, b) = (behind.await.unwrap(), node(&server).await);
    let (here, there) = (texts(&a), texts(&b));
    assert_eq!(read(&there, 7, "a").await.1, Tier::Source);
    assert_eq!(read(&here, 7, "-").await.1, Tier::Redis, "now it is known here that it is large");
    assert_eq!(read(&here, 8, "-").await.1, Tier::Source, "now the proxy knows that connection by its large value");
    until("memory may answer", || here.blocking().peek(&7).is_some()).await;

    proxy.blackhole_lane(Lane::Data, true, false);
    let (evicted, meanwhile) = tokio::join!(here.evict(&7), read(&here, 7, "-"));
    assert_eq!(meanwhile, ("a".to_owned(), Tier::Redis), "the evict has not arrived there");
    assert_eq!(evicted, Ok(Evicted::Deferred));
    assert_eq!(read(&here, 7, "b").await, ("b".to_owned(), Tier::Source));

    proxy.blackhole_lane(Lane::Data, false, false);
    until("it is sent", || there.blocking().peek(&7).is_none()).await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn keys_whose_turn_had_not_come_when_the_caller_left_are_queued() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = crate::numbers(&node);
    cache.evict(&0).await.unwrap();
    let fill = "for key = 1, 2500 do redis.call('SET', '{hc:test:0}numbers:v1:' .. key, 'x') end";
    server.ask(&["EVAL", fill, "0"]);
    server.pause();
    // A thousand are on their way, and the others wait for them.
    let keys: Vec<u64> = (1..=2_500).collect();
    let evict = cache.evict_many(&keys);
    assert!(tokio::time::timeout(Duration::from_millis(50), evict).await.is_err(), "the server says nothing");
    server.resume();
    let left = || server.ask(&["EVAL", "return #redis.call('KEYS', '{hc:test:0}numbers:*')", "0"]).text();
    until("all are gone", || left() == "0").await;
    node.shutdown().await;
}

/// Both sides of a rolling deploy hear of it, of whichever version the caches are that share its name here.
#[tokio::test]
async fn an_evict_that_was_queued_reaches_the_versions_beside_its_own() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let node = node_at(proxy.url()).await;
    let caches = [3, 7].map(|version| {
        let numbers: Builder<u64, u64> = Cache::builder("numbers").ttl(MINUTE).version(version);
        numbers.hybrid(MsgPack).manager(&node).build().unwrap()
    });
    proxy.refuse(true);
    proxy.cut();
    until("it is not connected", || !node.remote_health().unwrap().connected).await;
    let place = |version: u32| format!("{{hc:test:0}}numbers:v{version}:7");
    (0..10).for_each(|version| _ = server.ask(&["SET", &place(version), "x"]));
    assert_eq!(caches[0].evict(&7).await, Ok(Evicted::Deferred));
    proxy.refuse(false);
    until("it is sent", || !node.remote_health().unwrap().deferred).await;
    let left: Vec<u32> = (0..10).filter(|version| server.ask(&["EXISTS", &place(*version)]).text() == "1").collect();
    assert_eq!(left, [0, 1, 5, 9]);
    node.shutdown().await;
}
