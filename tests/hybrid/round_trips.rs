//! What each operation costs, counted between client and server.

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, SingleFlight, Tier};
use hybridcache_tests::proxy::Proxy;
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, SECOND};

use crate::{in_step, load, node, numbers, patient};

/// A node whose heartbeat is too slow to be counted.
async fn behind(proxy: &Proxy) -> CacheManager {
    let builder = patient(proxy.url());
    let node = builder.staleness_bound(60 * SECOND).heartbeat(20 * SECOND).build().await.unwrap();
    in_step(&node).await;
    node
}

#[tokio::test]
async fn a_hit_in_memory_costs_none_one_in_redis_one_and_a_miss_two() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let (other, here) = (node(&server).await, behind(&proxy).await);
    let (others, cache) = (numbers(&other), numbers(&here));
    let runs = Runs::default();
    // The scripts are known to the server from here on.
    load(&cache, 1, &runs).await;
    cache.evict(&1).await.unwrap();
    for key in 100..110 {
        load(&others, key, &runs).await;
    }
    for key in 100..110 {
        let before = proxy.turns();
        assert_eq!(load(&cache, key, &runs).await.1, Tier::Redis);
        assert_eq!(proxy.turns() - before, 1, "a hit in Redis");
        let before = proxy.turns();
        assert_eq!(load(&cache, key, &runs).await.1, Tier::Memory);
        assert_eq!(proxy.turns() - before, 0, "a hit in memory");
        let before = proxy.turns();
        assert_eq!(load(&cache, key + 100, &runs).await.1, Tier::Source);
        assert_eq!(proxy.turns() - before, 2, "a miss");
    }
    other.shutdown().await;
    here.shutdown().await;
}

#[tokio::test]
async fn evicts_clears_and_puts_cost_one() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let node = behind(&proxy).await;
    let cache = numbers(&node);
    cache.evict(&1).await.unwrap();
    cache.clear().await.unwrap();
    cache.insert(&1, 1).await.unwrap();
    // A message that this node sends to itself is no answer to anything; but the connection of the bus says nothing, so that it
    // does not turn.
    let keys: Vec<u64> = (0..1_000).collect();
    let before = proxy.turns();
    cache.evict_many(&keys).await.unwrap();
    assert_eq!(proxy.turns() - before, 1, "an evict of a thousand keys");
    let before = proxy.turns();
    cache.clear().await.unwrap();
    assert_eq!(proxy.turns() - before, 1, "a clear");
    let before = proxy.turns();
    cache.insert(&7, 7).await.unwrap();
    assert_eq!(proxy.turns() - before, 1, "a put");
    node.shutdown().await;
}

#[tokio::test]
async fn a_node_that_nobody_reads_asks_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let bound = SECOND / 10;
    let node = patient(proxy.url()).staleness_bound(bound);
    let node = node.build().await.unwrap();
    let (cache, runs) = (numbers(&node), Runs::default());
    load(&cache, 1, &runs).await;
    tokio::time::sleep(20 * bound).await;
    let before = proxy.turns();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(proxy.turns() - before, 0, "for ten bounds there was no read");
    assert!(!node.remote_health().unwrap().in_step, "nor does memory answer, until somebody asks");
    load(&cache, 1, &runs).await;
    in_step(&node).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_thousand_callers_of_each_of_four_nodes_load_a_key_once() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let mut nodes = Vec::new();
    let mut caches = Vec::new();
    for _ in 0..4 {
        let node = node(&server).await;
        let cache: Cache<u64, u64> = Cache::builder("numbers")
            .ttl(MINUTE)
            .single_flight(SingleFlight::Fleet)
            .hybrid(MsgPack)
            .manager(&node)
            .build()
            .unwrap();
        nodes.push(node);
        caches.push(cache);
    }
    let mut tasks = Vec::new();
    for cache in &caches {
        for task in 0..1_000_u64 {
            let (cache, runs) = (cache.clone(), runs.clone());
            tasks.push(tokio::spawn(async move {
                let load = || async {
                    tokio::time::sleep(SECOND / 20).await;
                    runs.run()
                };
                cache.get_or_load(&(task % 100), load).await
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(runs.count(), 100, "a hundred keys, a hundred loads");
    for node in nodes {
        node.shutdown().await;
    }
}
