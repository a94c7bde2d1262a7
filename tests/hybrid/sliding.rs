//! Sliding lifetimes on the remote tier.

use std::time::Duration;

use hybridcache::__private::{Ahead, Resolved};
use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Consistency, Share, Tier};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, SECOND, until};

use crate::{ends_within, in_step, load, node, outlives, remaining};

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
    outlives(3 * IDLE, async || load(&cache, 7, &runs).await.0).await;
    until("nobody asks for it any more", || remaining(&server, "numbers", 7) < 0).await;
    assert_eq!(load(&cache, 7, &runs).await, (runs.count(), Tier::Source));
    node.shutdown().await;
}

/// What is there ends with the last that Redis granted, and the reload that failed is due again after half of that.
#[tokio::test]
async fn a_reload_ahead_that_fails_is_tried_again() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let builder = Cache::builder("numbers").ttl(MINUTE).sliding(SECOND).refresh_ahead(0.001);
    let cache: Cache<u64, u64> = builder.hybrid(MsgPack).manager(&node).build().unwrap();
    let (tried, mut before) = (Runs::default(), 0);
    // Who has loaded an entry reloads it, as long as memory answers with it.
    in_step(&node).await;
    until("it was tried again", || {
        let read = match Resolved::of(&cache).__lookup_ahead(&7, Share::none()) {
            Ahead::Hit(hit) => hit,
            Ahead::Due(hit, due) => {
                let tried = tried.clone();
                due.spawn_blocking(move || {
                    tried.run();
                    Err(())
                });
                hit
            }
            // The first, or a machine that stood still has let it end.
            Ahead::Miss(miss) => {
                before = tried.count();
                miss.load_blocking(Share::none(), || Ok(1))
            }
        };
        assert_eq!(read, Ok(1));
        tried.count() > before + 2
    })
    .await;
    node.shutdown().await;
}

#[tokio::test]
async fn it_never_lives_longer_than_its_max_age() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> =
        Cache::builder("numbers").sliding(IDLE).max_age(2 * IDLE).hybrid(MsgPack).manager(&node).build().unwrap();
    let runs = Runs::default();
    let read = async || load(&cache, 7, &runs).await.0;
    outlives(IDLE + IDLE / 4, read).await;
    ends_within(2 * IDLE, read).await;
    node.shutdown().await;
}

#[tokio::test]
async fn without_memory_each_hit_in_redis_counts() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = || Cache::builder("numbers").sliding(IDLE).max_age(20 * IDLE).manager(&node);
    let caches: [Cache<u64, u64>; 2] =
        [cache().redis(MsgPack), cache().hybrid(MsgPack).consistency(Consistency::Strict)]
            .map(|it| it.build().unwrap());
    for cache in caches {
        let runs = Runs::default();
        outlives(2 * IDLE, async || {
            let (number, tier) = load(&cache, 7, &runs).await;
            assert_ne!(tier, Tier::Memory);
            number
        })
        .await;
        until("nobody asks for it any more", || remaining(&server, "numbers", 7) < 0).await;
        assert_eq!(load(&cache, 7, &runs).await, (runs.count(), Tier::Source));
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
        let asked = began.elapsed();
        let ended = there.blocking().get(&7).is_none();
        assert!(ended || asked < 5 * IDLE, "{asked:?}");
        assert!(remaining(&server, "numbers", 7) <= IDLE.as_millis() as i64, "{}", remaining(&server, "numbers", 7));
        ended
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
    let mut kept = false;
    until("a third of its life is left", || {
        assert!(there.blocking().get(&7) == Some(1) || began.elapsed() > 5 * IDLE);
        kept |= there.len() == 1;
        let left = Duration::from_millis(remaining(&server, "numbers", 7).max(0).unsigned_abs());
        assert!(began.elapsed() + left > 5 * IDLE, "{left:?} after {:?}", began.elapsed());
        left < 2 * IDLE
    })
    .await;
    assert!(kept, "it was memory that was hit");
    a.shutdown().await;
    b.shutdown().await;
}
