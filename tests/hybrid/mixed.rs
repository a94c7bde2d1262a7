//! Fleets whose members were not told the same.

use std::time::{Duration, Instant};

use hybridcache::codec::MsgPack;
use hybridcache::{Builder, Cache, CacheManager, Consistency, Tier};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, until};

use crate::{in_step, load, load_into_memory, node};

/// The cache that all the tests are about, as one member was told of it.
fn numbers_with(node: &CacheManager, told: impl FnOnce(Builder<u64, u64>) -> Builder<u64, u64>) -> Cache<u64, u64> {
    told(Cache::builder("numbers").manager(node)).build().unwrap()
}

/// By hits in memory, and where that keeps nothing by those in Redis.
#[tokio::test]
async fn what_does_not_slide_is_not_prolonged_where_others_do() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let life = Duration::from_millis(800);
    let here = numbers_with(&a, |cache| cache.ttl(life).hybrid(MsgPack));
    for consistency in [Consistency::Bounded, Consistency::Strict] {
        let there = numbers_with(&b, |cache| cache.sliding(life).hybrid(MsgPack).consistency(consistency));
        assert_eq!(load(&here, 7, &Runs::default()).await, (1, Tier::Source));
        let began = Instant::now();
        until("it has ended", || {
            let asked = began.elapsed();
            let ended = there.blocking().get(&7).is_none();
            assert!(ended || asked < 5 * life, "it was to live for {life:?}");
            ended
        })
        .await;
    }
    a.shutdown().await;
    b.shutdown().await;
}

/// Whoever writes under guard and dies leaves nothing old, also where a reader keeps for long what it loads in an outage.
#[tokio::test]
async fn what_is_loaded_beside_a_guard_is_kept_no_longer_than_the_bound() {
    let server = RedisServer::start();
    let bound = Duration::from_millis(300);
    let a = node(&server).await;
    let b = CacheManager::builder().namespace("test").redis(server.url()).staleness_bound(bound).build().await.unwrap();
    let writer = numbers_with(&a, |cache| cache.ttl(MINUTE).hybrid(MsgPack));
    let reader = numbers_with(&b, |cache| cache.ttl(MINUTE).degraded_ttl(MINUTE).hybrid(MsgPack));
    let runs = Runs::default();
    in_step(&b).await;
    // It is not ended, as if its process had died: its evict never comes.
    let _write = writer.write(&7).await.unwrap();
    load_into_memory(&reader, 7, &runs).await;
    let (began, loaded) = (Instant::now(), runs.count());
    until("it is loaded again", || {
        let asked = began.elapsed();
        let again = reader.blocking().get_or_load(&7, || runs.run()) > loaded;
        assert!(again || asked < 10 * bound, "memory answers with what nobody will evict");
        again
    })
    .await;
    a.shutdown().await;
    b.shutdown().await;
}

/// A node that has no such cache witnesses evicts all the same, and cannot know which versions they are about.
#[tokio::test]
async fn what_a_node_repeats_for_a_cache_that_it_has_not_is_one_clear() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let here = numbers_with(&a, |cache| cache.ttl(MINUTE).hybrid(MsgPack));
    let other: Cache<u64, u64> = Cache::builder("other").ttl(MINUTE).hybrid(MsgPack).manager(&b).build().unwrap();
    in_step(&b).await;
    let keys: Vec<u64> = (0..500).collect();
    here.evict_many(&keys).await.unwrap();
    // What it hears last it has heard all before.
    b.after(a.token().unwrap()).await;
    a.shutdown().await;
    server.ask(&["FLUSHALL"]);
    let number = |partition| server.ask(&["HGET", &format!("{{hc:test:{partition}}}q"), "n"]).text();
    until("it was repeated", || {
        other.blocking().get(&7);
        number("0") == "1"
    })
    .await;
    assert_eq!(number("m"), "1");
    b.shutdown().await;
}

#[tokio::test]
async fn whoever_loads_says_how_long_it_lives() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let life = Duration::from_millis(300);
    let here = numbers_with(&a, |cache| cache.ttl(MINUTE).cache_none(true).hybrid(MsgPack));
    let there = numbers_with(&b, |cache| cache.ttl(life).hybrid(MsgPack));
    assert_eq!(load(&here, 7, &Runs::default()).await, (1, Tier::Source));
    assert_eq!(here.get_or_load(&8, || async { None }).await, None);
    for _ in 0..3 {
        assert_eq!(load(&there, 7, &Runs::default()).await.0, 1);
        assert_eq!(there.get_or_load(&8, || async { Some(1) }).await, None);
        tokio::time::sleep(life).await;
    }
    there.clear().await.unwrap();
    assert_eq!(there.get_or_load(&8, || async { Some(1) }).await, Some(1));
    a.shutdown().await;
    b.shutdown().await;
}

/// The key of a function that had one argument, and has two now.
#[tokio::test]
async fn an_evict_reaches_what_is_spelled_as_it_is_and_a_clear_all() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let before = numbers_with(&a, |cache| cache.ttl(MINUTE).hybrid(MsgPack));
    let after: Cache<(u64, String), u64> =
        Cache::builder("numbers").version(2).ttl(MINUTE).hybrid(MsgPack).manager(&b).build().unwrap();
    let runs = Runs::default();
    in_step(&a).await;
    load_into_memory(&before, 7, &runs).await;
    after.evict(&(7, "en".to_owned())).await.unwrap();
    a.after(b.token().unwrap()).await;
    assert_eq!(load(&before, 7, &runs).await, (1, Tier::Redis));
    after.clear().await.unwrap();
    a.after(b.token().unwrap()).await;
    assert_eq!(load(&before, 7, &runs).await, (2, Tier::Source));
    a.shutdown().await;
    b.shutdown().await;
}
