//! Plain functions on remote tiers: with a runtime, inside of one, and without any.

use hybridcache::Tier;
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::ticks::Ticks;
use hybridcache_tests::{Runs, SECOND, block_on};

use crate::{hasty, node, numbers};

fn load_plainly(cache: &hybridcache::Cache<u64, u64>, key: u64, runs: &Runs) -> (u64, Tier) {
    let fetched = cache.fetch(&key).load_blocking(hybridcache::Share::none(), |_| runs.run());
    (fetched.result, fetched.tier)
}

#[test]
fn no_runtime_is_needed() {
    let server = RedisServer::start();
    let (a, b) = (block_on(node(&server)), block_on(node(&server)));
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    assert_eq!(load_plainly(&here, 7, &runs), (1, Tier::Source));
    assert_eq!(load_plainly(&there, 7, &runs), (1, Tier::Redis));
    here.blocking().evict(&7).unwrap();
    assert_eq!(here.blocking().get(&7), None);
    block_on(a.shutdown());
    block_on(b.shutdown());
}

#[test]
fn inside_of_each_kind_of_runtime() {
    let server = RedisServer::start();
    let node = block_on(node(&server));
    let cache = numbers(&node);
    let runs = Runs::default();
    let single = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(single.block_on(async { load_plainly(&cache, 1, &runs) }).1, Tier::Source);
    let many = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    assert_eq!(many.block_on(async { load_plainly(&cache, 2, &runs) }).1, Tier::Source);
    let spawned = cache.clone();
    let loaded = many.block_on(async move {
        tokio::spawn(async move {
            let runs = Runs::default();
            tokio::task::block_in_place(|| load_plainly(&spawned, 3, &runs))
        })
        .await
        .unwrap()
    });
    assert_eq!(loaded.1, Tier::Source);
    assert_eq!(cache.stats().remote.fills, 3);
    block_on(node.shutdown());
}

#[test]
fn a_runtime_that_is_dropped_takes_nothing_along() {
    let server = RedisServer::start();
    let first = tokio::runtime::Runtime::new().unwrap();
    let node = first.block_on(node(&server));
    let cache = numbers(&node);
    let runs = Runs::default();
    first.block_on(async { cache.get_or_load(&7, || async { runs.run() }).await });
    drop(first);
    let second = tokio::runtime::Runtime::new().unwrap();
    second.block_on(async {
        assert_eq!(cache.get_or_load(&8, || async { runs.run() }).await, 2);
        cache.evict(&8).await.unwrap();
    });
    assert_eq!(cache.stats().remote.fills, 2);
    drop(second);
    assert_eq!(load_plainly(&cache, 9, &runs).1, Tier::Source);
    assert_eq!(cache.stats().remote.fills, 3);
    block_on(node.shutdown());
}

#[test]
fn a_caller_parks_no_longer_than_its_deadlines() {
    let server = RedisServer::start();
    let node = block_on(hasty(server.url()));
    let cache = numbers(&node);
    let runs = Runs::default();
    load_plainly(&cache, 1, &runs);
    server.pause();
    let began = Ticks::start();
    assert_eq!(load_plainly(&cache, 2, &runs).1, Tier::Source);
    let took = began.elapsed();
    server.resume();
    assert!(took < 2 * SECOND, "{took:?}");
    block_on(node.shutdown());
}
