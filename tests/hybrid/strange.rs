//! Keys and values that nobody expects.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Evicted, Share, Tier};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::ticks::Ticks;
use hybridcache_tests::{MINUTE, Runs, SECOND, until};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{hasty, in_step, in_step_again, load, node, numbers};

/// What one process loads under this key the other finds, and it hears the evict.
async fn travels<K>(nodes: &[CacheManager; 2], name: &'static str, key: K)
where
    K: Clone + Debug + Eq + Hash + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let [here, there] = nodes.each_ref().map(|node| -> Cache<K, u64> {
        Cache::builder(name).ttl(MINUTE).hybrid(MsgPack).manager(node).build().unwrap()
    });
    let runs = Runs::default();
    let read = async |cache: &Cache<K, u64>| {
        let fetched = cache.fetch(&key).load(Share::none(), |_| async { runs.run() }).await;
        (fetched.result, fetched.tier)
    };
    assert_eq!(read(&here).await, (1, Tier::Source), "{key:?}");
    assert_eq!(read(&there).await, (1, Tier::Redis), "{key:?}");
    assert_eq!(here.evict(&key).await, Ok(Evicted::Acknowledged));
    until("the eviction arrived", || there.blocking().peek(&key).is_none()).await;
    assert_eq!(read(&there).await, (2, Tier::Source), "{key:?}");
    assert_eq!(here.stats().remote.unspellable + there.stats().remote.unspellable, 0);
}

#[tokio::test]
async fn a_key_may_hold_every_byte_and_every_kind_of_character() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    travels(&nodes, "bytes", (0..=u8::MAX).collect::<Vec<_>>()).await;
    travels(&nodes, "latin", (0..=u8::MAX).map(char::from).collect::<String>()).await;
    travels(&nodes, "texts", "\0\r\n$-1\r\n*\"'\\{hc:test:0}:}{\u{7f}\u{fffd}\u{10ffff}".to_owned()).await;
    travels(&nodes, "pairs", (String::new(), vec![None, Some(i64::MIN)])).await;
    for node in nodes {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn two_services_of_one_name_never_get_each_others_values() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let here = numbers(&a);
    let there: Cache<u64, Vec<String>> =
        Cache::builder("numbers").ttl(MINUTE).hybrid(MsgPack).manager(&b).build().unwrap();
    let strings = || async { vec!["a".to_owned()] };
    let runs = Runs::default();
    for round in 1..=3 {
        // Each finds what the other has left there, and overwrites it.
        assert_eq!(load(&here, 7, &runs).await, (2 * round - 1, Tier::Source));
        assert_eq!(there.get_or_load(&7, strings).await, ["a"]);
        let remote = there.stats().remote;
        assert_eq!((remote.undecodable, remote.fills), (round, 2 * round - 1));
        // What either evicts both are rid of.
        here.evict(&7).await.unwrap();
        until("the eviction arrived", || there.is_empty()).await;
        assert_eq!(there.get_or_load(&7, strings).await, ["a"]);
        assert_eq!(load(&here, 7, &runs).await, (2 * round, Tier::Source));
        assert_eq!(here.stats().remote.undecodable, round);
        there.evict(&7).await.unwrap();
        until("the eviction arrived", || here.is_empty()).await;
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn six_hundred_megabytes_are_a_value_like_any_other_and_stay_here() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, Arc<String>> =
        Cache::builder("large").ttl(MINUTE).hybrid(MsgPack).manager(&node).build().unwrap();
    let runs = Runs::default();
    let read = async || {
        let load = |_| async {
            runs.run();
            Arc::new("x".repeat(600 << 20))
        };
        // What makes so large a value may keep the node from hearing the others for longer than it vouches for its memory, and leave it
        // idle.
        in_step_again(&node, &cache).await;
        let fetched = cache.fetch(&7).load(Share::none(), load).await;
        (fetched.result.len(), fetched.tier)
    };
    assert_eq!(read().await, (600 << 20, Tier::Source));
    assert_eq!(read().await, (600 << 20, Tier::Memory));
    let remote = cache.stats().remote;
    assert_eq!((runs.count(), remote.unencodable, remote.fills, remote.faults), (1, 1, 0, 0));
    until("the right to fill was given back", || server.ask(&["EXISTS", "{hc:test:0}large:v1:7"]).text() == "0").await;
    node.shutdown().await;
}

#[tokio::test]
async fn what_is_too_large_to_arrive_in_time_costs_deadlines_until_it_is_evicted() {
    let server = RedisServer::start();
    let node = hasty(server.url()).await;
    let cache = numbers(&node);
    // Another program's: 400 MB, which also keep the server from doing anything else.
    server.ask(&["SETRANGE", "{hc:test:0}numbers:v1:7", "419430400", "!"]);
    let runs = Runs::default();
    let mut slowest = Duration::ZERO;
    for key in 100..140 {
        let began = Ticks::start();
        assert_ne!(load(&cache, 7, &runs).await.1, Tier::Redis);
        load(&cache, key, &runs).await;
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < 3 * SECOND, "no call waits for longer than its deadlines: {slowest:?}");
    cache.evict(&7).await.unwrap();
    until("the eviction was sent", || !node.remote_health().unwrap().deferred).await;
    assert_eq!(server.ask(&["EXISTS", "{hc:test:0}numbers:v1:7"]).text(), "0");
    until("all is well again", || {
        cache.blocking().refresh(&200, || runs.run());
        cache.stats().remote.fills > 0
    })
    .await;
    node.shutdown().await;
}

#[tokio::test]
async fn what_another_process_may_keep_and_this_one_may_not_is_a_miss() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let texts = |node, most| -> Cache<u64, String> {
        Cache::builder("texts").ttl(MINUTE).max_value_bytes(most).hybrid(MsgPack).manager(node).build().unwrap()
    };
    let (here, there) = (texts(&a, 4 << 20), texts(&b, 1 << 20));
    let two_megabytes = || async { "x".repeat(2 << 20) };
    here.get_or_load(&7, two_megabytes).await;
    assert_eq!(here.stats().remote.fills, 1);
    assert_eq!(there.get_or_load(&7, two_megabytes).await.len(), 2 << 20);
    let remote = there.stats().remote;
    assert_eq!((remote.undecodable, remote.unencodable, remote.fills, remote.hits), (1, 1, 0, 0));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_bound_that_never_ends_is_one() {
    let server = RedisServer::start();
    let manager = CacheManager::builder().namespace("test").redis(server.url()).staleness_bound(Duration::MAX);
    let node = manager.build().await.unwrap();
    let (cache, runs) = (numbers(&node), Runs::default());
    in_step(&node).await;
    load(&cache, 1, &runs).await;
    assert_eq!(load(&cache, 1, &runs).await, (1, Tier::Memory));
    node.shutdown().await;
}

#[tokio::test]
async fn a_key_whose_text_reads_back_as_another_is_counted_by_whichever_verb_it_is_asked_for() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
    struct Half {
        shown: u64,
        #[serde(skip)]
        hidden: u64,
    }

    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<Half, u64> = Cache::builder("halves").ttl(MINUTE).hybrid(MsgPack).manager(&node).build().unwrap();
    let key = Half { shown: 1, hidden: 2 };
    let unspellable = || cache.stats().remote.unspellable;
    cache.get_or_load(&key, || async { 7 }).await;
    assert_eq!(unspellable(), 1);
    assert_eq!(cache.get(&key).await, None);
    assert_eq!(unspellable(), 2);
    let all = |keys: Vec<Half>| async { Ok::<_, String>(keys.into_iter().map(|key| (key, 7)).collect()) };
    assert_eq!(cache.get_many_or_load([&key], all).await, Ok(vec![Some(7)]));
    assert_eq!(unspellable(), 3);
    assert_eq!((cache.stats().remote.unfilled, cache.len()), (0, 0));
    node.shutdown().await;
}
