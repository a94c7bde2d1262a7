//! Sliding lifetimes on the remote tier.

use std::time::Duration;

use hybridcache::__private::{Ahead, Resolved};
use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Consistency, Share, Tier};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, SECOND, until};

use crate::{in_step, load, node, remaining};

const IDLE: Duration = Duration::from_millis(600);

fn sliding(node: &CacheManager) -> Cache<u64, u64> {
    Cache::builder("numbers").sliding(IDLE).max_age(20 * IDLE).hybrid(MsgPack).manager(node).build().unwrap()
}

#[tokio::test]
async fn what_is_asked_for_lives_on_in_redis_and_what_is_not_ends() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = sliding(&node);
    let runs = Runs::default();
    load(&cache, 7, &runs).await;
    for _ in 0..30 {
        tokio::time::sleep(IDLE / 10).await;
        assert_eq!(load(&cache, 7, &runs).await.0, 1, "three lifetimes, and it is still the first");
    }
    assert!(remaining(&server, "numbers", 7) > 0);
    until("nobody asks for it any more", || remaining(&server, "numbers", 7) < 0).await;
    assert_eq!(load(&cache, 7, &runs).await, (2, Tier::Source));
    node.shutdown().await;
}

/// What is there ends with the last that Redis granted, and the reload that failed is due again after half of that.
#[tokio::test]
async fn a_reload_ahead_that_fails_is_tried_again() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let builder = Cache::builder("numbers").ttl(MINUTE).sliding(SECOND).refresh_ahead(0.001);
    let cache: Cache<u64, u64> = builder.hybrid(MsgPack).manager(&node).build().unwrap();
    let runs = Runs::default();
    // Who has loaded an entry reloads it, as long as memory answers with it.
    in_step(&node).await;
    until("it was tried again", || {
        let load = {
            let runs = runs.clone();
            move || if runs.run() == 1 { Ok(1) } else { Err(()) }
        };
        let read = match Resolved::of(&cache).__lookup_ahead(&7, Share::none()) {
            Ahead::Hit(hit) => hit,
            Ahead::Due(hit, due) => {
                due.spawn_blocking(load);
                hit
            }
            Ahead::Miss(miss) => miss.load_blocking(Share::none(), load),
        };
        assert_eq!(read, Ok(1));
        runs.count() > 3
    })
    .await;
    node.shutdown().await;
}

#[tokio::test]
async fn it_never_lives_longer_than_its_max_age() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> = Cache::builder("numbers")
        .sliding(IDLE)
        .max_age(IDLE + IDLE / 2)
        .hybrid(MsgPack)
        .manager(&node)
        .build()
        .unwrap();
    let runs = Runs::default();
    let began = std::time::Instant::now();
    load(&cache, 7, &runs).await;
    while load(&cache, 7, &runs).await.0 == 1 {
        assert!(began.elapsed() < 3 * IDLE, "it ended though it was asked for all the time");
        tokio::time::sleep(IDLE / 20).await;
    }
    assert!(began.elapsed() >= IDLE, "it was renewed once: {:?}", began.elapsed());
    node.shutdown().await;
}

#[tokio::test]
async fn without_memory_each_hit_in_redis_counts() {
    let server = RedisServer::start();
    let node = node(&server).await;
    // Half of it is the longest pause of a busy machine that this does not mind.
    let idle = 2 * SECOND;
    let cache = || Cache::builder("numbers").sliding(idle).max_age(20 * idle).manager(&node);
    let caches: [Cache<u64, u64>; 2] =
        [cache().redis(MsgPack), cache().hybrid(MsgPack).consistency(Consistency::Strict)]
            .map(|it| it.build().unwrap());
    for cache in caches {
        let runs = Runs::default();
        load(&cache, 7, &runs).await;
        for _ in 0..30 {
            tokio::time::sleep(idle / 20).await;
            assert_eq!(
                load(&cache, 7, &runs).await,
                (1, Tier::Redis),
                "more than a lifetime, and it is still the first"
            );
        }
        until("nobody asks for it any more", || remaining(&server, "numbers", 7) < 0).await;
        assert_eq!(load(&cache, 7, &runs).await, (2, Tier::Source));
        cache.evict(&7).await.unwrap();
    }
    node.shutdown().await;
}

#[tokio::test]
async fn a_value_whose_loader_said_how_long_it_lives_does_not_slide() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let long = |node| Cache::builder("numbers").sliding(MINUTE).max_age(20 * MINUTE).hybrid(MsgPack).manager(node);
    let [here, there]: [Cache<u64, u64>; 2] = [&a, &b].map(|node| long(node).build().unwrap());
    let said = here.fetch(&7).load(Share::none(), |context| async move {
        context.ttl(IDLE);
        1_u64
    });
    assert_eq!(said.await.result, 1);
    let began = std::time::Instant::now();
    // It is hit there time and again, in memory too.
    until("it has ended", || {
        assert!(
            began.elapsed() < 5 * IDLE && remaining(&server, "numbers", 7) <= IDLE.as_millis() as i64,
            "{}",
            remaining(&server, "numbers", 7)
        );
        there.blocking().get(&7).is_none()
    })
    .await;
    a.shutdown().await;
    b.shutdown().await;
}

/// The first hit in memory after half of its life has it renewed, for less than what it has left.
#[tokio::test]
async fn a_value_whose_loader_said_that_it_lives_longer_than_others_slide_is_not_cut_short_by_hits() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let [here, there] = [&a, &b].map(sliding);
    let began = std::time::Instant::now();
    let said = here.fetch(&7).load(Share::none(), |context| async move {
        context.ttl(6 * IDLE);
        1_u64
    });
    assert_eq!(said.await.result, 1);
    in_step(&b).await;
    until("a third of its life is left", || {
        assert_eq!(there.blocking().get(&7), Some(1));
        let left = Duration::from_millis(remaining(&server, "numbers", 7).try_into().unwrap());
        assert!(began.elapsed() + left > 5 * IDLE, "{left:?} after {:?}", began.elapsed());
        left < 2 * IDLE
    })
    .await;
    assert_eq!(there.len(), 1, "it was memory that was hit");
    a.shutdown().await;
    b.shutdown().await;
}
