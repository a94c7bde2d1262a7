//! Fleets whose members were not told the same.

use std::time::{Duration, Instant};

use hybridcache::codec::MsgPack;
use hybridcache::{Builder, Cache, CacheManager, Consistency, Tier};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{Runs, until};

use crate::{load, node};

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
            assert!(began.elapsed() < 5 * life, "it was to live for {life:?}");
            there.blocking().get(&7).is_none()
        })
        .await;
    }
    a.shutdown().await;
    b.shutdown().await;
}
