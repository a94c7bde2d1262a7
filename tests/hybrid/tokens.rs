//! Tokens that name what this node cannot wait for: they come from outside, in headers and cookies.

use std::time::{Duration, Instant};

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, ConsistencyToken, Evicted, Tier};
use hybridcache_tests::proxy::{Lane, Proxy};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, SECOND, until};

use crate::{in_step, load, node, numbers, patient};

/// Half a minute: whoever waits for it is found out.
const BOUND: Duration = SECOND.saturating_mul(30);

/// A node whose heartbeat is too slow to answer anything, with key 7 in memory.
async fn behind(proxy: &Proxy, runs: &Runs) -> (CacheManager, Cache<u64, u64>) {
    let builder = patient(proxy.url());
    let node = builder.staleness_bound(BOUND).heartbeat(BOUND / 3).build().await.unwrap();
    let cache = numbers(&node);
    in_step(&node).await;
    load(&cache, 7, runs).await;
    assert_eq!(load(&cache, 7, runs).await.1, Tier::Memory);
    (node, cache)
}

/// Each of many calls with it takes a fence, and memory stays as it is.
async fn costs_a_fence(token: ConsistencyToken, proxy: &Proxy, node: &CacheManager, cache: &Cache<u64, u64>) {
    let floors = node.remote_health().unwrap().floors_raised;
    for _ in 0..20 {
        let (began, turns) = (Instant::now(), proxy.turns());
        node.after(token).await;
        assert!(began.elapsed() < BOUND / 3, "{:?}", began.elapsed());
        let turns = proxy.turns() - turns;
        assert!((1..=2).contains(&turns), "one fence, and perhaps one that was under way: {turns}");
        assert_eq!(load(cache, 7, &Runs::default()).await.1, Tier::Memory);
    }
    assert_eq!(node.remote_health().unwrap().floors_raised, floors);
}

#[tokio::test]
async fn a_token_of_another_epoch_or_of_no_number_that_was_given_costs_a_fence_and_nothing_else() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let (other, runs) = (node(&server).await, Runs::default());
    let (here, cache) = behind(&proxy, &runs).await;
    numbers(&other).evict(&8).await.unwrap();
    let given = other.token().unwrap().to_string();
    here.after(given.parse().unwrap()).await;
    let (epoch, _) = given.rsplit_once('-').unwrap();
    for token in [format!("{epoch}-{}", u64::MAX), format!("k-{:032x}-1", 7)] {
        costs_a_fence(token.parse().unwrap(), &proxy, &here, &cache).await;
    }
    other.shutdown().await;
    here.shutdown().await;
}

#[tokio::test]
async fn a_token_from_before_redis_was_emptied_empties_no_memory() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let (other, runs) = (node(&server).await, Runs::default());
    let (here, cache) = behind(&proxy, &runs).await;
    // It stays: what a cache that is gone has lost is repeated as a clear, and that empties memory.
    let there = numbers(&other);
    there.evict(&8).await.unwrap();
    let cookie = other.token().unwrap();
    here.after(cookie).await;
    assert_eq!(load(&cache, 7, &runs).await.1, Tier::Memory);
    let floors = here.remote_health().unwrap().floors_raised;
    server.ask(&["FLUSHALL"]);
    there.evict(&9).await.unwrap();
    here.after(other.token().unwrap()).await;
    assert!(here.remote_health().unwrap().floors_raised > floors, "the new epoch is taken up once");
    // What the other node, and this one, repeat of what was lost is out of the way. What is loaded before the node is in step is kept
    // for a moment only.
    until("memory keeps it", || {
        let health = here.remote_health().unwrap();
        cache.blocking().get_or_load(&7, || runs.run());
        cache.blocking().peek(&7).is_some() && health.in_step && !health.deferred
    })
    .await;
    costs_a_fence(cookie, &proxy, &here, &cache).await;
    other.shutdown().await;
    here.shutdown().await;
}

/// What others evicted and Redis lost is repeated by whoever heard of it, though calls with tokens of before ask all the time.
#[tokio::test]
async fn calls_with_tokens_of_before_do_not_keep_a_node_from_what_is_due() {
    let server = RedisServer::start();
    let (other, here, runs) = (node(&server).await, node(&server).await, Runs::default());
    let cache = numbers(&here);
    in_step(&here).await;
    numbers(&other).evict(&7).await.unwrap();
    here.after(other.token().unwrap()).await;
    other.shutdown().await;
    server.ask(&["FLUSHALL"]);
    let cookie: ConsistencyToken = format!("k-{:032x}-1", 7).parse().unwrap();
    here.after(cookie).await;
    let began = Instant::now();
    while load(&cache, 7, &runs).await.1 == Tier::Source {
        assert!(began.elapsed() < 10 * SECOND, "it is not repeated");
        here.after(cookie).await;
    }
    here.shutdown().await;
}

/// An evict is sent late, and answered later still: meanwhile Redis was emptied, and something was put.
#[tokio::test]
async fn an_answer_of_before_redis_was_emptied_takes_nothing_from_the_token() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let node = patient(proxy.url()).staleness_bound(BOUND).heartbeat(BOUND / 3).build().await.unwrap();
    in_step(&node).await;
    let cache: Cache<u64, String> = Cache::builder("texts").ttl(MINUTE).hybrid(MsgPack).manager(&node).build().unwrap();
    let large = || "x".repeat(300_000);
    cache.insert(&8, large()).await.unwrap();
    // What is left of it goes by the connection of what is large.
    let write = cache.write(&8).await.unwrap();

    proxy.refuse(true);
    proxy.cut_lane(Lane::Data);
    until("it is not connected", || !node.remote_health().unwrap().connected).await;
    assert_eq!(cache.evict(&7).await, Ok(Evicted::Deferred));
    proxy.refuse(false);
    until("it is connected", || node.remote_health().unwrap().connected).await;
    let sequence = "{hc:test:0}q";
    let number = || server.ask(&["HGET", sequence, "n"]).text();
    let before = number();
    proxy.blackhole_lane(Lane::Data, false, true);
    let unknown: ConsistencyToken = format!("k-{:032x}-1", 7).parse().unwrap();
    // An answer to a fence has what waits sent.
    node.after(unknown).await;
    until("the server has executed it", || number() != before).await;
    server.ask(&["DEL", sequence]);
    node.after(unknown).await;
    write.put(large()).await.unwrap();
    let token = node.token();
    assert!(token.is_some());
    proxy.blackhole_lane(Lane::Data, false, false);
    for _ in 0..20 {
        cache.get(&9).await;
        assert_eq!(node.token(), token);
    }
    node.shutdown().await;
}

#[tokio::test]
async fn where_nobody_answers_memory_starts_anew_after_the_bound_and_says_so() {
    let server = RedisServer::start();
    let bound = SECOND / 2;
    let node = CacheManager::builder().namespace("test").redis(server.url());
    let node = node.staleness_bound(bound).heartbeat(bound / 5).build().await.unwrap();
    in_step(&node).await;
    let floors = node.remote_health().unwrap().floors_raised;
    server.pause();
    let began = Instant::now();
    node.after(format!("k-{:032x}-1", 7).parse().unwrap()).await;
    assert!(began.elapsed() >= bound, "{:?}", began.elapsed());
    assert_eq!(node.remote_health().unwrap().floors_raised, floors + 1);
    server.resume();
    node.shutdown().await;
}
