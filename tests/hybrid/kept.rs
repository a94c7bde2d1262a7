//! What is kept of what was loaded, and for how long.

use std::cell::Cell;
use std::future::ready;
use std::time::Duration;

use hybridcache::codec::MsgPack;
use hybridcache::{Builder, Cache, CacheManager, Share};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, until};

use crate::node;

fn texts(node: &CacheManager, say: impl FnOnce(Builder<u64, String>) -> Builder<u64, String>) -> Cache<u64, String> {
    say(Cache::builder("texts").ttl(MINUTE).hybrid(MsgPack)).manager(node).build().unwrap()
}

#[tokio::test]
async fn a_reload_whose_result_is_not_kept_leaves_nothing_in_redis() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let short = |node: &CacheManager| texts(node, |texts| texts.store_if(|text| text != "odd").max_value_bytes(100));
    let (here, there) = (short(&a), short(&b));
    let stands = || server.ask(&["EXISTS", "{hc:test:0}texts:v1:7"]).text() == "1";
    let load = async || {
        here.evict(&7).await.unwrap();
        here.get_or_load(&7, || async { "old".to_owned() }).await;
        assert!(stands());
    };
    load().await;
    here.refresh(&7, || async { None::<String> }).await;
    assert!(!stands(), "the row is gone, and `None` is not kept");
    load().await;
    here.refresh(&7, || async { "odd".to_owned() }).await;
    assert!(!stands(), "`store_if` does not want it");
    load().await;
    let said = here.fetch(&7).reload().load(Share::none(), |context| async move {
        context.do_not_keep();
        "new".to_owned()
    });
    assert_eq!(said.await.result, "new");
    assert!(!stands(), "its loader does not want it");
    load().await;
    let said = here.fetch(&7).reload().load(Share::none(), |context| async move {
        context.ttl(Duration::from_millis(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        "late".to_owned()
    });
    assert_eq!(said.await.result, "late");
    assert!(!stands(), "it ended while it was loaded");
    load().await;
    here.refresh(&7, || async { "long".repeat(100) }).await;
    assert!(!stands(), "it cannot be encoded");
    assert_eq!(there.get(&7).await, None, "nobody gets what was before");
    load().await;
    let failed = here.refresh(&7, || async { Err::<String, _>("away") }).await;
    assert!(failed.is_err() && stands(), "a reload that failed leaves what was there");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn nothing_is_an_answer_of_memory_and_of_redis_and_of_batches_too() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let both = [&a, &b];
    until("memory may answer", || both.iter().all(|node| node.remote_health().unwrap().in_step)).await;
    let [here, there] = both.map(|node| texts(node, |texts| texts.cache_none(true)));
    here.get_or_load(&1, || async { None::<String> }).await;
    let load = |keys: Vec<u64>| {
        assert_eq!(keys, [2, 3], "what is there is not loaded, and what is asked for twice is loaded once");
        async { Ok::<_, ()>([(3, "three".to_owned())].into()) }
    };
    let keys = [1, 2, 3, 2, 3];
    let expected = [None, None, Some("three".to_owned()), None, Some("three".to_owned())];
    assert_eq!(here.get_many_or_load(&keys, load).await.unwrap(), expected);
    let asked = here.stats().remote;
    assert_eq!((asked.hits, asked.misses, asked.fills), (0, 3, 3));
    assert_eq!(here.get_many(&keys).await, expected);
    assert_eq!((here.get(&1).await, here.peek(&1).await, here.stats().remote), (None, None, asked), "memory answers");
    for _ in 0..2 {
        let found = there.get_many_or_load(&keys, async |_| Err("all of it is in Redis"));
        assert_eq!(found.await.unwrap(), expected);
    }
    assert_eq!((there.stats().remote.hits, there.len()), (3, 3), "and then in memory");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn what_is_loaded_in_an_outage_lives_no_longer_than_it_would() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let short = Duration::from_millis(100);
    let cache = texts(&node, |texts| {
        texts.cache_none(true).none_ttl(short).cache_err(true).err_ttl(short).degraded_ttl(MINUTE)
    });
    server.kill();
    let runs = Cell::new(0);
    let load = async |key: u64| {
        let returns = match key {
            1 => Ok(None),
            2 => Err("away".to_owned()),
            _ => Ok(Some("there".to_owned())),
        };
        let loader = |_| {
            runs.set(runs.get() + 1);
            ready(returns)
        };
        cache.fetch(&key).load(Share::cloned(), loader).await;
        runs.take()
    };
    for key in 1..=3 {
        assert_eq!(load(key).await, 1);
    }
    tokio::time::sleep(2 * short).await;
    assert_eq!((load(1).await, load(2).await), (1, 1), "`None` and an error end when they would");
    assert_eq!(load(3).await, 0, "a value is kept for `degraded_ttl`");
    node.shutdown().await;
}
