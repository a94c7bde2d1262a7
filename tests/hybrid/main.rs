//! Two tiers, and two processes' worth of managers over one Redis.

mod annotated;
mod clocks;
mod intents;
mod kept;
mod leases;
mod mixed;
mod outage;
mod overtaken;
mod plain;
mod queued;
mod round_trips;
mod settle;
mod sliding;
mod strange;
mod tokens;
mod warnings;
mod writes;

use std::time::{Duration, Instant};

use hybridcache::codec::MsgPack;
use hybridcache::{
    Cache, CacheManager, Consistency, Evicted, ManagerBuilder, Outcome, RedisOptions, Share, SingleFlight, Tier,
};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{LIMIT, MINUTE, Runs, until};

/// A manager, as another process would have it, that is [`patient`].
async fn node(server: &RedisServer) -> CacheManager {
    node_at(server.url()).await
}

/// One that reaches its server there: through a proxy.
async fn node_at(url: String) -> CacheManager {
    patient(url).build().await.unwrap()
}

/// One that waits as long as it does by default, for those whose server says nothing.
async fn hasty(url: String) -> CacheManager {
    CacheManager::builder().namespace("test").redis(url).build().await.unwrap()
}

/// An answer that is late is none, and a machine may have other things to do: here each comes in time.
fn patience(url: String) -> RedisOptions {
    RedisOptions::new(url).connect_timeout(LIMIT).read_timeout(LIMIT).write_timeout(LIMIT)
}

/// A manager that has [`patience`].
fn patient(url: String) -> ManagerBuilder {
    CacheManager::builder().namespace("test").redis_options(patience(url))
}

/// Waits until a node has heard all that there is to hear, and memory may answer.
async fn in_step(node: &CacheManager) {
    until("it is in step", || node.remote_health().unwrap().in_step).await;
}

/// [`in_step`] of one that may be idle by now: it is asked for something meanwhile, or it would ask nobody where the others stand.
async fn in_step_again<V: Clone + Send + Sync + 'static>(node: &CacheManager, cache: &Cache<u64, V>) {
    until("it is in step", || {
        cache.blocking().peek(&u64::MAX);
        node.remote_health().unwrap().in_step
    })
    .await;
}

/// Waits until memory may not answer on a node that hears nothing from now on. What was on its way to it already may put it in step
/// again, for as long as its bound at most.
async fn is_out_of_step(node: &CacheManager, bound: Duration) {
    let began = Instant::now();
    until("it is out of step", || began.elapsed() > bound && !node.remote_health().unwrap().in_step).await;
}

fn numbers(node: &CacheManager) -> Cache<u64, u64> {
    Cache::builder("numbers").ttl(MINUTE).hybrid(MsgPack).manager(node).build().unwrap()
}

/// How many milliseconds a key's record lives on, as `PTTL` says it.
fn remaining(server: &RedisServer, cache: &str, key: u64) -> i64 {
    server.ask(&["PTTL", &format!("{{hc:test:0}}{cache}:v1:{key}")]).text().parse().unwrap()
}

async fn load(cache: &Cache<u64, u64>, key: u64, runs: &Runs) -> (u64, Tier) {
    let fetched = cache.fetch(&key).load(Share::none(), |_| async { runs.run() }).await;
    (fetched.result, fetched.tier)
}

/// Has a key loaded until memory, which has nothing else, keeps it.
async fn load_into_memory(cache: &Cache<u64, u64>, key: u64, runs: &Runs) {
    until("memory has it", || {
        cache.blocking().get_or_load(&key, || runs.run());
        cache.len() == 1
    })
    .await;
}

/// Asks until what is found has been there for so long. What slides is renewed by that, and what does not never is; a machine that stood
/// still has let it end, and then the next is as good.
async fn outlives(life: Duration, read: impl AsyncFn() -> u64) {
    let (mut since, mut seen) = (Instant::now(), read().await);
    let began = since;
    loop {
        tokio::time::sleep(life / 60).await;
        let (asked, found) = (Instant::now(), read().await);
        if found != seen {
            (since, seen) = (Instant::now(), found);
        } else if asked - since > life {
            return;
        }
        assert!(began.elapsed() < LIMIT, "it ends though it is asked for");
    }
}

/// Asks until something else is found than now. In the end whoever asks is late, but no question is.
async fn ends_within(life: Duration, read: impl AsyncFn() -> u64) {
    let (began, first) = (Instant::now(), read().await);
    loop {
        let asked = began.elapsed();
        if read().await != first {
            return;
        }
        assert!(asked < life, "it is there after {asked:?}");
        tokio::time::sleep(life / 60).await;
    }
}

#[tokio::test]
async fn what_one_node_loads_the_other_finds() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    assert_eq!(load(&here, 7, &runs).await, (1, Tier::Source));
    assert_eq!(load(&there, 7, &runs).await, (1, Tier::Redis));
    assert_eq!(runs.count(), 1);
    assert_eq!([&here, &there].map(|cache| cache.stats().hit_ratio()), [0.0, 1.0]);
    until("memory may answer", || there.stats().remote.hits >= 1).await;
    for cache in [&here, &there] {
        until("memory answers", || cache.blocking().peek(&7) == Some(1) && cache.len() == 1).await;
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn who_waits_for_what_is_found_in_redis_is_told_so() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    in_step(&b).await;
    let both = async |key: u64| {
        let fetch = || there.fetch(&key).load(Share::none(), |_| async { runs.run() });
        let (first, second) = tokio::join!(fetch(), fetch());
        assert_eq!((first.result, second.result), (runs.count(), runs.count()));
        [first, second].map(|fetched| (fetched.outcome, fetched.tier))
    };
    // Where the thread is held up after the first has asked, the second finds what that has brought: then both ask for another.
    const LATE: (Outcome, Tier) = (Outcome::Hit, Tier::Memory);
    let mut keys = 0..100;
    let second = loop {
        let key = keys.next().expect("one of them waits");
        load(&here, key, &runs).await;
        let [first, second] = both(key).await;
        assert_eq!(first, (Outcome::Hit, Tier::Redis));
        if second != LATE {
            break second;
        }
    };
    assert_eq!(second, (Outcome::Shared, Tier::Redis));
    let second = loop {
        let [first, second] = both(keys.next().expect("one of them waits")).await;
        assert_eq!(first, (Outcome::Loaded, Tier::Source));
        if second != LATE {
            break second;
        }
    };
    assert_eq!(second, (Outcome::Shared, Tier::Source));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_hit_in_memory_asks_nobody() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = numbers(&node);
    let runs = Runs::default();
    load(&cache, 7, &runs).await;
    let mut last = Tier::Source;
    for _ in 0..1_000 {
        last = load(&cache, 7, &runs).await.1;
        if last == Tier::Memory {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(last, Tier::Memory);
    assert_eq!(runs.count(), 1);
    node.shutdown().await;
}

#[tokio::test]
async fn an_evict_on_one_node_is_seen_on_the_other() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    load(&here, 7, &runs).await;
    until("it is in memory there", || {
        there.blocking().get(&7);
        there.len() == 1
    })
    .await;
    assert_eq!(here.evict(&7).await, Ok(Evicted::Acknowledged));
    until("the message arrived", || there.is_empty()).await;
    assert_eq!(load(&there, 7, &runs).await, (2, Tier::Source));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_clear_on_one_node_is_seen_on_the_other_and_by_records() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    for key in 0..10 {
        load(&here, key, &runs).await;
        load(&there, key, &runs).await;
    }
    assert_eq!(here.clear().await, Ok(Evicted::Acknowledged));
    assert_eq!(load(&here, 3, &runs).await, (11, Tier::Source), "what is there is older than the clear");
    let c = node(&server).await;
    assert_eq!(load(&numbers(&c), 4, &runs).await, (12, Tier::Source), "also for who comes later");
    until("the clear arrived", || there.blocking().peek(&5).is_none()).await;
    for node in [a, b, c] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn what_another_node_cleared_is_given_back() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    in_step(&b).await;
    let runs = Runs::default();
    for key in 0..100 {
        load(&there, key, &runs).await;
    }
    assert_eq!(there.len(), 100);
    here.clear().await.unwrap();
    until("it is taken out", || there.is_empty()).await;
    until("it is let go of", || there.stats().evictions.explicit == 100).await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_manager_clears_the_remote_tier_too() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    assert_eq!(load(&here, 7, &runs).await.0, 1);
    a.clear();
    assert_eq!(load(&here, 7, &runs).await, (2, Tier::Source));
    // The second, or a third: what `a` loads before it hears of its own clear is born before it (R14).
    assert_ne!(load(&there, 7, &runs).await.0, 1);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn one_load_in_the_fleet() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let mut nodes = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let node = node(&server).await;
        let cache: Cache<u64, u64> = Cache::builder("numbers")
            .ttl(MINUTE)
            .hybrid(MsgPack)
            .single_flight(SingleFlight::Fleet)
            .manager(&node)
            .build()
            .unwrap();
        nodes.push(node);
        for _ in 0..50 {
            let (cache, runs) = (cache.clone(), runs.clone());
            tasks.push(tokio::spawn(async move {
                cache
                    .get_or_load(&7, || async {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        runs.run()
                    })
                    .await
            }));
        }
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
    assert_eq!(runs.count(), 1);
    for node in nodes {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_load_that_an_evict_overtakes_fills_nothing() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let value = here
        .get_or_load(&7, || async {
            there.evict(&7).await.unwrap();
            1_u64
        })
        .await;
    assert_eq!(value, 1);
    assert_eq!(here.stats().remote.fills_rejected, 1);
    assert_eq!(here.peek(&7).await, None);
    assert_eq!(there.peek(&7).await, None);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn values_survive_the_process() {
    let server = RedisServer::start();
    let first = node(&server).await;
    let cache: Cache<String, Option<String>> = Cache::builder("texts")
        .ttl(MINUTE)
        .redis(MsgPack)
        .consistency(Consistency::Bounded)
        .manager(&first)
        .build()
        .unwrap();
    cache.insert("a", Some("b".to_owned())).await.unwrap();
    first.shutdown().await;
    let second = node(&server).await;
    let cache: Cache<String, Option<String>> =
        Cache::builder("texts").ttl(MINUTE).redis(MsgPack).manager(&second).build().unwrap();
    assert_eq!(cache.get("a").await, Some(Some("b".to_owned())));
    assert_eq!(cache.len(), 0, "nothing of it is in memory");
    second.shutdown().await;
}
