//! Annotated functions on remote tiers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hybridcache::{CacheManager, cache_evict, cache_put, cached};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{Runs, SECOND, block_on, until};
use serde::{Deserialize, Serialize};

use crate::{in_step, node, outlives};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    run: u64,
}

#[cached(ttl = "60s", tier = hybrid, skip(runs))]
async fn user(id: u64, runs: &Runs) -> Result<Option<User>, std::io::Error> {
    Ok((id != 0).then(|| User { id, run: runs.run() }))
}

#[cached(ttl = "60s", tier = redis, codec = json, compress(lz4, min = 64), skip(runs))]
fn page(name: &str, runs: &Runs) -> String {
    format!("{name}{}", "x".repeat(1_000)) + &runs.run().to_string()
}

#[cache_evict(user(id))]
async fn rename(id: u64) -> Result<(), std::io::Error> {
    let _ = id;
    Ok(())
}

#[cache_evict(page(name))]
fn rewrite(name: &str) {
    let _ = name;
}

#[cache_put(user(id) = User { id, run: 100 })]
async fn replace(id: u64) -> Result<(), std::io::Error> {
    let _ = id;
    Ok(())
}

static AHEAD: AtomicU64 = AtomicU64::new(0);

#[cached(ttl = "1h", tier = hybrid, refresh_ahead = 0.000_000_003)]
async fn ahead(id: u64) -> u64 {
    let _ = id;
    AHEAD.fetch_add(1, Relaxed)
}

static SLID: AtomicU64 = AtomicU64::new(0);

#[cached(ttl = "1h", sliding = "400ms", tier = hybrid, refresh_ahead = 0.9)]
async fn slid(id: u64) -> u64 {
    let _ = id;
    SLID.fetch_add(1, Relaxed)
}

#[tokio::test]
async fn what_slides_lives_on_and_is_reloaded_when_its_ttl_says_so() {
    let server = RedisServer::start();
    let node = node(&server).await;
    in_step(&node).await;
    // Five times as long as it slides, and not near its hour.
    outlives(2 * SECOND, async || node.scope(slid(7)).await).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_reload_behind_the_caller_is_for_all_processes() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    until("the reload is in Redis", || {
        a.scope_blocking(|| block_on(ahead(7)));
        a.scope_blocking(|| ahead::cache().stats().remote.fills) >= 2
    })
    .await;
    assert!(b.scope(ahead(7)).await > 0);
    assert_eq!(b.scope_blocking(|| ahead::cache().stats().remote.hits), 1);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn two_processes_share_what_one_loaded_and_hear_what_one_evicts() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let runs = Runs::default();
    let one = User { id: 7, run: 1 };
    assert_eq!(a.scope(user(7, &runs)).await.unwrap(), Some(one.clone()));
    assert_eq!(b.scope(user(7, &runs)).await.unwrap(), Some(one));
    a.scope(rename(7)).await.unwrap();
    until("the eviction arrived", || b.scope_blocking(|| user::cache().is_empty())).await;
    assert_eq!(b.scope(user(7, &runs)).await.unwrap().unwrap().run, 2);
    a.scope(user::evict(&7)).await.unwrap();
    until("the eviction arrived", || b.scope_blocking(|| user::cache().is_empty())).await;
    assert_eq!(a.scope(user(7, &runs)).await.unwrap().unwrap().run, 3);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn what_one_puts_the_other_finds() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let runs = Runs::default();
    a.scope(replace(7)).await.unwrap();
    assert_eq!(b.scope(user(7, &runs)).await.unwrap().unwrap().run, 100);
    assert_eq!(runs.count(), 0);
    a.shutdown().await;
    b.shutdown().await;
}

#[test]
fn plain_functions_need_no_runtime() {
    let server = RedisServer::start();
    let (a, b) = (block_on(node(&server)), block_on(node(&server)));
    let runs = Runs::default();
    let first = a.scope_blocking(|| page("home", &runs));
    assert_eq!(b.scope_blocking(|| page("home", &runs)), first);
    b.scope_blocking(|| rewrite("home"));
    assert_ne!(a.scope_blocking(|| page("home", &runs)), first);
    assert_eq!(runs.count(), 2);
    block_on(a.shutdown());
    block_on(b.shutdown());
}

#[tokio::test]
async fn a_writer_that_is_dropped_midway_still_evicts_everywhere() {
    #[cache_evict(user(id))]
    async fn slow(id: u64) -> Result<(), std::io::Error> {
        let _ = id;
        std::future::pending().await
    }
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let runs = Runs::default();
    a.scope(user(7, &runs)).await.unwrap();
    b.scope(user(7, &runs)).await.unwrap();
    {
        let mut writing = Box::pin(a.scope(slow(7)));
        assert!(hybridcache_tests::poll_once(&mut writing).is_pending());
    }
    until("the eviction was sent and arrived", || {
        !a.remote_health().unwrap().deferred && b.scope_blocking(|| user::cache().is_empty())
    })
    .await;
    assert_eq!(b.scope(user(7, &runs)).await.unwrap().unwrap().run, 2);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn without_a_manager_that_has_a_server_they_work_in_memory() {
    let manager = hybridcache::CacheManager::builder().build().await.unwrap();
    let runs = Runs::default();
    for _ in 0..3 {
        assert_eq!(manager.scope(user(7, &runs)).await.unwrap().unwrap().run, 1);
    }
    manager.scope(rename(7)).await.unwrap();
    assert_eq!(manager.scope(user(7, &runs)).await.unwrap().unwrap().run, 2);
}

trait Stock {
    async fn stock(&self, id: u64, runs: &Runs) -> u64;
}

struct Shelf;

impl Stock for Shelf {
    #[cached(ttl = "60s", tier = hybrid, name = "stock", skip(self, runs))]
    async fn stock(&self, id: u64, runs: &Runs) -> u64 {
        id + runs.run()
    }
}

#[tokio::test]
async fn who_has_never_read_evicts_by_name_what_others_have_left_in_redis() {
    #[cache_evict(named("stock", id))]
    async fn sell(id: u64) {
        let _ = id;
    }
    #[cache_evict(named("stock", ..))]
    fn recount() {}
    #[cache_evict(named("stock", id))]
    async fn abandoned(id: u64) {
        let _ = id;
        std::future::pending().await
    }
    let server = RedisServer::start();
    let reader = node(&server).await;
    let runs = Runs::default();
    let read = async |node: &CacheManager| node.scope(Shelf.stock(0, &runs)).await;
    for sold in 1..=3 {
        let old = read(&reader).await;
        let writer = node(&server).await;
        match sold {
            1 => writer.scope(sell(0)).await,
            2 => writer.scope_blocking(recount),
            _ => {
                assert!(hybridcache_tests::poll_once(&mut Box::pin(writer.scope(abandoned(0)))).is_pending());
                until("it is sent", || !writer.remote_health().unwrap().deferred).await;
            }
        }
        assert!(read(&writer).await > old, "who evicted does not get the old value");
        // The next, or one after that: what is loaded before its process hears of its own clear is born before it (R14).
        until("the eviction arrived", || reader.scope_blocking(|| block_on(Shelf.stock(0, &runs))) > old).await;
        writer.shutdown().await;
    }
    reader.shutdown().await;
}

mod of_one_name {
    use hybridcache::cached;

    pub(super) async fn inner(id: u64) -> u64 {
        #[cached(ttl = "60s", tier = hybrid)]
        async fn total(id: u64) -> u64 {
            id + 1
        }
        total(id).await
    }

    pub(super) async fn other_inner(id: u64) -> u64 {
        #[cached(ttl = "60s", tier = hybrid)]
        async fn total(id: u64) -> u64 {
            id + 2
        }
        total(id).await
    }

    pub(super) struct Orders;
    pub(super) struct Items;

    impl Orders {
        #[cached(ttl = "60s", tier = hybrid, handle = false)]
        pub(super) async fn total(id: u64) -> u64 {
            id + 3
        }
    }

    impl Items {
        #[cached(ttl = "60s", tier = hybrid, handle = false)]
        pub(super) async fn total(id: u64) -> u64 {
            id + 4
        }
    }

    pub(super) trait Total<T> {
        async fn total(&self, id: u64) -> u64;
    }

    impl Total<u8> for Orders {
        #[cached(ttl = "60s", tier = hybrid, skip(self))]
        async fn total(&self, id: u64) -> u64 {
            id + 5
        }
    }

    impl Total<u16> for Orders {
        #[cached(ttl = "60s", tier = hybrid, skip(self))]
        async fn total(&self, id: u64) -> u64 {
            id + 6
        }
    }
}

/// In Redis the name is all that tells them apart, as they have the same types.
#[tokio::test]
async fn functions_of_one_name_in_one_module_do_not_answer_for_one_another() {
    use of_one_name::{Items, Orders, Total, inner, other_inner};
    let server = RedisServer::start();
    let node = node(&server).await;
    let totals = async || {
        let of_traits = (Total::<u8>::total(&Orders, 1).await, Total::<u16>::total(&Orders, 1).await);
        (inner(1).await, other_inner(1).await, Orders::total(1).await, Items::total(1).await, of_traits)
    };
    for _ in 0..2 {
        assert_eq!(node.scope(totals()).await, (2, 3, 4, 5, (6, 7)));
    }
    node.shutdown().await;
}
