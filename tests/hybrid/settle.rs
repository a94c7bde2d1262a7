//! A key settles after an evict: replicas of the source are to catch up before anybody keeps what they say.

use std::time::Duration;

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Evicted, Tier};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, SECOND, until};

use crate::{in_step, load, node, numbers, remaining};

fn settling(node: &CacheManager, lag: Duration) -> Cache<u64, u64> {
    Cache::builder("settling").ttl(MINUTE).settle(lag).hybrid(MsgPack).manager(node).build().unwrap()
}

#[tokio::test]
async fn for_a_settling_time_after_an_evict_nothing_is_filled() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = settling(&node, Duration::from_millis(300));
    let runs = Runs::default();
    cache.evict(&7).await.unwrap();
    load(&cache, 7, &runs).await;
    assert_eq!(cache.stats().remote.fills, 0);
    until("the replicas have caught up", || {
        cache.blocking().refresh(&7, || runs.run());
        cache.stats().remote.fills > 0
    })
    .await;
    node.shutdown().await;
}

#[tokio::test]
async fn what_is_loaded_while_a_key_settles_is_kept_nowhere() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = settling(&node, MINUTE);
    let runs = Runs::default();
    in_step(&node).await;
    cache.evict(&7).await.unwrap();
    for run in 1..=3 {
        assert_eq!(load(&cache, 7, &runs).await, (run, Tier::Source), "the replica may be behind the evict still");
    }
    assert_eq!((cache.len(), cache.stats().remote.unfilled), (0, 3));
    node.shutdown().await;
}

/// The server is killed, so that it cannot execute the evict when it goes on: what it gets is what was queued.
#[tokio::test]
async fn a_key_whose_evict_was_queued_settles_from_when_it_is_sent() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let (cache, other) = (settling(&node, MINUTE), numbers(&node));
    server.kill();
    until("it is known to be gone", || !node.remote_health().unwrap().connected).await;
    assert_eq!(cache.evict(&7).await, Ok(Evicted::Deferred));
    assert_eq!(other.evict(&7).await, Ok(Evicted::Deferred));
    server.restart();
    until("both are sent", || !node.remote_health().unwrap().deferred).await;
    let left = remaining(&server, "settling", 7);
    assert!((50_000..=60_000).contains(&left), "{left}");
    let runs = Runs::default();
    assert_eq!(load(&cache, 7, &runs).await, (1, Tier::Source));
    assert_eq!(cache.stats().remote.fills, 0);
    // Of another cache, whose keys do not settle.
    assert_eq!(load(&other, 7, &runs).await.1, Tier::Source);
    assert_eq!(other.stats().remote.fills, 1);
    node.shutdown().await;
}

/// Two functions share a cache's name, and one of them asks a replica that lags.
#[tokio::test]
async fn a_key_whose_evict_was_queued_settles_as_long_as_any_cache_of_its_name_wants() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let caches = [Duration::ZERO, MINUTE, SECOND].map(|lag| settling(&node, lag));
    server.kill();
    until("it is known to be gone", || !node.remote_health().unwrap().connected).await;
    assert_eq!(caches[0].evict(&7).await, Ok(Evicted::Deferred));
    server.restart();
    until("it is sent", || !node.remote_health().unwrap().deferred).await;
    let left = remaining(&server, "settling", 7);
    assert!((50_000..=60_000).contains(&left), "{left}");
    node.shutdown().await;
}

#[tokio::test]
async fn a_key_settles_as_long_as_any_cache_of_its_name_wants() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let caches = [Duration::ZERO, MINUTE, SECOND].map(|lag| settling(&node, lag));
    let settles = async |cache: &Cache<u64, u64>, key: u64| {
        cache.evict(&key).await.unwrap();
        let left = remaining(&server, "settling", key);
        assert!((50_000..=60_000).contains(&left), "{left}");
    };
    settles(&caches[0], 7).await;
    settles(&caches[2], 8).await;
    node.shutdown().await;
}

/// Two processes say for how long, and each that its own replica is behind no longer than that.
#[tokio::test]
async fn a_key_settles_as_long_as_any_of_its_evicts_wants() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (long, short) = (settling(&a, MINUTE), settling(&b, SECOND));
    long.evict(&7).await.unwrap();
    short.evict(&7).await.unwrap();
    let left = remaining(&server, "settling", 7);
    assert!((50_000..=60_000).contains(&left), "{left}");
    tokio::time::sleep(SECOND).await;
    load(&long, 7, &Runs::default()).await;
    assert_eq!(long.stats().remote.fills, 0);
    a.shutdown().await;
    b.shutdown().await;
}
