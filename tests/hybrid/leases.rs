//! Who waits for whose load, and what becomes of leases that nobody needs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hybridcache::codec::{BoxError, Codec, MsgPack};
use hybridcache::{Cache, Consistency, SingleFlight, Tier};
use hybridcache_tests::proxy::{Lane, Proxy};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, SECOND, poll_once, until};

use crate::overtaken::calls;
use crate::{in_step_again, is_out_of_step, load, load_into_memory, node, numbers, patient};

/// Callers who may join nobody: the lease of the first is all that keeps the others from loading, and its wake all that spares them
/// the rest of its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_strict_callers_in_one_process_one_loads_and_the_others_are_woken() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> = Cache::builder("numbers")
        .ttl(MINUTE)
        .lease(MINUTE)
        .wait_timeout(MINUTE)
        .hybrid(MsgPack)
        .consistency(Consistency::Strict)
        .manager(&node)
        .build()
        .unwrap();
    let runs = Runs::default();
    for key in 0..300 {
        let began = Instant::now();
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let (cache, runs) = (cache.clone(), runs.clone());
                let load = async move || {
                    tokio::time::sleep(Duration::from_micros(100)).await;
                    runs.run()
                };
                tokio::spawn(async move { cache.get_or_load(&key, load).await })
            })
            .collect();
        for caller in callers {
            let value = tokio::time::timeout(10 * SECOND, caller).await.expect("it is woken").unwrap();
            assert_eq!(value, key + 1, "no two loads of key {key}");
        }
        assert!(began.elapsed() < 10 * SECOND, "key {key}: {:?}", began.elapsed());
    }
    assert_eq!(runs.count(), 300);
    node.shutdown().await;
}

/// The other process loads for longer than this one waits, and keeps its lease meanwhile.
#[tokio::test]
async fn who_waits_for_a_load_in_another_process_gives_up_in_time() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let [here, there]: [Cache<u64, u64>; 2] = nodes.each_ref().map(|node| {
        let numbers = Cache::builder("numbers").ttl(MINUTE).wait_timeout(Duration::from_millis(100)).hybrid(MsgPack);
        numbers.single_flight(SingleFlight::Fleet).manager(node).build().unwrap()
    });
    let load = here.get_or_load(&7, || async {
        let waits = there.get_or_load(&7, || async { 2 });
        assert_eq!(tokio::time::timeout(10 * SECOND, waits).await, Ok(2));
        1
    });
    assert_eq!(load.await, 1);
    assert_eq!(there.stats().remote.fills, 0, "what it loads instead is for its caller");
    assert_eq!((there.stats().wait_timeouts, there.stats().remote.unfilled), (1, 1));
    for node in nodes {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_load_that_takes_longer_than_its_lease_fills_all_the_same() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> =
        Cache::builder("numbers").ttl(MINUTE).lease(SECOND).redis(MsgPack).manager(&node).build().unwrap();
    // A machine that stands still for most of a lease loses it.
    for lost in 0.. {
        let load = cache.get_or_load(&7, || async {
            tokio::time::sleep(5 * SECOND / 2).await;
            1
        });
        assert_eq!(load.await, 1);
        if cache.stats().remote.fills == 1 {
            break;
        }
        assert!(lost < 5, "it is not renewed");
    }
    node.shutdown().await;
}

#[tokio::test]
async fn the_leases_of_a_batch_are_renewed_together() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> =
        Cache::builder("numbers").ttl(MINUTE).lease(2 * SECOND).hybrid(MsgPack).manager(&node).build().unwrap();
    let load = async |keys: Vec<u64>| {
        // Longer than a lease that is not renewed.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        Ok::<_, ()>(keys.into_iter().map(|key| (key, key)).collect())
    };
    cache.get_many_or_load(&(0..1_000).collect::<Vec<_>>(), load).await.unwrap();
    let scripts: u64 = calls(&server, "evalsha").unwrap().parse().unwrap();
    assert_eq!(cache.stats().remote.fills, 1_000);
    assert!(scripts < 1_200, "{scripts} scripts, of which each fill is one");
    node.shutdown().await;
}

#[tokio::test]
async fn a_load_that_is_dropped_gives_its_lease_back() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> =
        Cache::builder("numbers").ttl(MINUTE).lease(MINUTE).redis(MsgPack).manager(&node).build().unwrap();
    let stands = || server.ask(&["EXISTS", "{hc:test:0}numbers:v1:7"]).text() == "1";
    let load = cache.get_or_load(&7, || async {
        assert!(stands());
        std::future::pending::<u64>().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(100), load).await.is_err());
    until("the lease is gone", || !stands()).await;
    node.shutdown().await;
}

/// Cannot read what it wrote, and stops the server as it tries.
struct Stopping(Arc<RedisServer>);

impl Codec<u64> for Stopping {
    const ID: u8 = 200;

    fn encode(&self, _: &u64, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.push(0);
        Ok(())
    }

    fn decode(&self, _: &[u8]) -> Result<u64, BoxError> {
        self.0.pause();
        Err("unreadable".into())
    }
}

/// What is sent then is executed when the server goes on, though nobody waits for the answer any more.
#[tokio::test]
async fn a_lease_over_something_dead_whose_caller_left_is_given_back() {
    let server = Arc::new(RedisServer::start());
    let node = node(&server).await;
    let cache: Cache<u64, u64> = Cache::builder("numbers")
        .ttl(MINUTE)
        .lease(MINUTE)
        .redis(Stopping(Arc::clone(&server)))
        .manager(&node)
        .build()
        .unwrap();
    // The server knows the script from here on, or it would be asked for that first.
    server.ask(&["SET", "{hc:test:0}numbers:v1:8", "not ours"]);
    let runs = Runs::default();
    load(&cache, 8, &runs).await;
    load(&cache, 7, &runs).await;
    assert_eq!(cache.stats().remote.fills, 2);
    let call = load(&cache, 7, &runs);
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err(), "the server says nothing");
    server.resume();
    until("the lease is gone", || server.ask(&["EXISTS", "{hc:test:0}numbers:v1:7"]).text() == "0").await;
    assert_eq!(runs.count(), 2);
    node.shutdown().await;
}

/// Who looks finds that memory may not answer, and in Redis something newer: what memory had is not served after it.
#[tokio::test]
async fn what_memory_had_before_a_look_is_not_served_after_it() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let builder = patient(proxy.url());
    let far = builder.staleness_bound(SECOND / 10).build().await.unwrap();
    let near = node(&server).await;
    let (here, there) = (numbers(&far), numbers(&near));
    let runs = Runs::default();
    for name in ["peek", "get"] {
        load_into_memory(&here, 7, &runs).await;
        let old = runs.count();
        let mut reload = Box::pin(here.refresh(&7, std::future::pending::<u64>));
        proxy.blackhole_lane(Lane::Bus, false, true);
        is_out_of_step(&far, SECOND / 10).await;
        server.ask(&["DEL", "{hc:test:0}numbers:v1:7"]);
        assert_eq!(load(&there, 7, &runs).await.0, old + 1);
        let found = if name == "peek" {
            here.peek(&7).await
        } else {
            // Beside a reload, which leaves alone what memory has until it ends.
            assert!(poll_once(&mut reload).is_pending());
            here.get(&7).await
        };
        assert_eq!(found, Some(old + 1), "{name}");
        drop(reload);
        proxy.blackhole_lane(Lane::Bus, false, false);
        in_step_again(&far, &here).await;
        assert_eq!(load(&here, 7, &runs).await.0, old + 1, "{name}");
        here.evict(&7).await.unwrap();
        there.evict(&7).await.unwrap();
    }
    far.shutdown().await;
    near.shutdown().await;
}

#[tokio::test]
async fn what_memory_had_is_dropped_before_a_batch_loads() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let builder = Cache::builder("texts").ttl(Duration::from_millis(20)).sweep_interval(MINUTE);
    let cache: Cache<u64, Arc<String>> = builder.hybrid(MsgPack).manager(&node).build().unwrap();
    let old = Arc::new("old".to_owned());
    until("memory has it", || {
        drop(cache.blocking().get_or_load(&7, || Arc::clone(&old)));
        Arc::strong_count(&old) == 2
    })
    .await;
    until("it has ended", || cache.blocking().peek(&7).is_none()).await;
    let load = async |_| {
        assert_eq!(Arc::strong_count(&old), 1);
        Ok::<_, ()>(HashMap::new())
    };
    assert_eq!(cache.get_many_or_load(&[7], load).await, Ok(vec![None]));
    node.shutdown().await;
}

/// A batch finds that memory may not answer. What it loads may not be kept, because other keys are written meanwhile; but what
/// memory had is older, and is not served after it.
#[tokio::test]
async fn what_memory_had_before_a_batch_is_not_served_after_it() {
    let server = RedisServer::start();
    let builder = patient(server.url());
    let node = builder.staleness_bound(Duration::from_millis(100)).build().await.unwrap();
    let cache = numbers(&node);
    let runs = Runs::default();
    assert_eq!(load(&cache, 7, &runs).await, (1, Tier::Source));
    until("memory has it", || {
        cache.blocking().get(&7);
        cache.len() == 1
    })
    .await;
    until("nobody asks where the server stands", || {
        node.remote_health().unwrap().last_word.is_some_and(|ago| ago > SECOND)
    })
    .await;
    server.ask(&["DEL", "{hc:test:0}numbers:v1:7"]);
    let others: Vec<u64> = (1_000..9_000).collect();
    let loaded = cache
        .get_many_or_load(&[7], async |_| {
            cache.evict_many(&others).await.unwrap();
            Ok::<_, ()>(HashMap::from([(7, runs.run())]))
        })
        .await;
    assert_eq!(loaded, Ok(vec![Some(2)]));
    in_step_again(&node, &cache).await;
    assert_eq!(load(&cache, 7, &runs).await.0, 2);
    node.shutdown().await;
}
