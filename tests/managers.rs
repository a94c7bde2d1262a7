//! Managers: names, statistics of all, scopes that share nothing, and an orderly end.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hybridcache::{Cache, CacheManager, ErrorKind};
use hybridcache_tests::{SECOND, block_on};

async fn manager() -> CacheManager {
    CacheManager::builder().build().await.unwrap()
}

#[tokio::test]
async fn a_cache_is_found_by_its_name_and_types() {
    let manager = manager().await;
    let users: Cache<u64, String> = Cache::builder("users").manager(&manager).version(3).build().unwrap();
    users.insert(&1, "Ada".to_owned()).await.unwrap();
    let found: Cache<u64, String> = manager.cache("users").unwrap();
    assert_eq!(found.get(&1).await.as_deref(), Some("Ada"));
    assert_eq!((found.name(), found.version()), ("users", 3));
}

#[tokio::test]
async fn an_unknown_name_and_other_types_are_errors_that_say_so() {
    let manager = manager().await;
    let unknown = manager.cache::<u64, String>("users").unwrap_err();
    assert_eq!(*unknown.kind(), ErrorKind::UnknownCache { name: "users".to_owned() });
    assert!(unknown.to_string().contains("`users`"), "{unknown}");
    let users: Cache<u64, String> = Cache::builder("users").manager(&manager).build().unwrap();
    let error = manager.cache::<u64, u64>("users").unwrap_err();
    let ErrorKind::OtherTypes { name, asked, actual } = error.kind() else { panic!("{error}") };
    assert_eq!((name.as_str(), *asked), ("users", "(u64, u64)"));
    assert!(actual.contains("String"), "{actual}");
    assert!(error.to_string().contains("users") && error.to_string().contains("(u64, u64)"), "{error}");
    drop(users);
    let gone = manager.cache::<u64, String>("users").unwrap_err();
    assert!(matches!(gone.kind(), ErrorKind::UnknownCache { .. }), "it is gone with its last clone: {gone}");
}

#[tokio::test]
async fn of_several_with_one_name_the_newest_of_these_types_is_found() {
    let manager = manager().await;
    let old: Cache<u64, u64> = Cache::builder("twins").manager(&manager).build().unwrap();
    let new: Cache<u64, u64> = Cache::builder("twins").manager(&manager).build().unwrap();
    let other: Cache<u64, String> = Cache::builder("twins").manager(&manager).build().unwrap();
    old.insert(&1, 1).await.unwrap();
    new.insert(&1, 2).await.unwrap();
    other.insert(&1, "3".to_owned()).await.unwrap();
    assert_eq!(manager.cache::<u64, u64>("twins").unwrap().get(&1).await, Some(2));
    assert_eq!(manager.cache::<u64, String>("twins").unwrap().get(&1).await.as_deref(), Some("3"));
    drop(new);
    assert_eq!(manager.cache::<u64, u64>("twins").unwrap().get(&1).await, Some(1));
}

#[tokio::test]
async fn a_manager_sums_and_clears_what_it_knows() {
    let manager = manager().await;
    let b: Cache<u64, u64> = Cache::builder("b").manager(&manager).build().unwrap();
    let a: Cache<String, u64> = Cache::builder("a").manager(&manager).build().unwrap();
    a.insert("x", 1).await.unwrap();
    b.insert(&1, 1).await.unwrap();
    b.get(&1).await;
    b.get(&2).await;
    let stats = manager.stats();
    assert_eq!(stats.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((stats[0].1.entries, stats[1].1.hits), (1, 1));
    let total = manager.total();
    assert_eq!((total.hits, total.misses, total.entries), (1, 1, 2));
    manager.clear();
    assert_eq!(manager.total().entries, 0);
}

#[tokio::test]
async fn namespaces_are_checked_when_the_manager_is_built() {
    for namespace in ["shop", "shop-2.eu_west"] {
        let manager = CacheManager::builder().namespace(namespace).build().await.unwrap();
        assert_eq!(manager.namespace(), Some(namespace));
    }
    let (longest, too_long) = ("x".repeat(256), "x".repeat(257));
    assert!(CacheManager::builder().namespace(longest).build().await.is_ok());
    for namespace in ["", "a b", "a:b", "é", "a/b", "{a}", "a*", &too_long] {
        let error = CacheManager::builder().namespace(namespace).build().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Option { option: "namespace", .. }), "{namespace:?}: {error}");
        assert!(!error.to_string().contains("cache"), "no cache has that name: {error}");
    }
    assert_eq!(manager().await.namespace(), None);
}

/// A cache built where this is called belongs to the manager of the scope.
async fn build_here(value: u64) -> Cache<u64, u64> {
    let cache = Cache::builder("here").build().unwrap();
    tokio::task::yield_now().await;
    cache.insert(&1, value).await.unwrap();
    cache
}

fn here() -> Option<u64> {
    CacheManager::current().cache::<u64, u64>("here").ok().and_then(|cache| cache.blocking().peek(&1))
}

#[tokio::test]
async fn a_scope_has_caches_of_its_own() {
    let (outer, inner) = (manager().await, manager().await);
    assert_eq!(here(), None);
    outer
        .scope(async {
            let _cache = build_here(1).await;
            assert_eq!(here(), Some(1));
            inner
                .scope(async {
                    assert_eq!(here(), None, "a scope inside another is that one's");
                    let _cache = build_here(2).await;
                    assert_eq!(here(), Some(2));
                    assert_eq!(outer.scope_blocking(here), Some(1));
                })
                .await;
            assert_eq!(here(), Some(1));
        })
        .await;
    assert_eq!(here(), None);
}

#[test]
fn a_call_of_a_thread_that_ends_is_outside_of_every_scope() {
    struct Calls;
    impl Drop for Calls {
        fn drop(&mut self) {
            assert_eq!(here(), None);
        }
    }
    // Whichever comes first and last to its end.
    thread_local! {
        static BEFORE: Calls = const { Calls };
        static BEHIND: Calls = const { Calls };
    }
    block_on(manager()).scope_blocking(|| {
        let thread = thread::spawn(|| {
            BEFORE.with(|_| {});
            assert_eq!(here(), None);
            BEHIND.with(|_| {});
        });
        thread.join().unwrap();
    });
}

#[test]
fn a_scope_of_plain_code_ends_with_it_also_by_a_panic() {
    let manager = block_on(manager());
    let cache = manager.scope_blocking(|| {
        let cache: Cache<u64, u64> = Cache::builder("here").build().unwrap();
        cache.blocking().insert(&1, 7).unwrap();
        assert_eq!(here(), Some(7));
        cache
    });
    assert_eq!(here(), None);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        manager.scope_blocking(|| {
            assert_eq!(here(), Some(7));
            panic!("inside");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(here(), None);
    drop(cache);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scopes_that_run_side_by_side_share_nothing() {
    let mut tasks = Vec::new();
    for number in 0..16_u64 {
        tasks.push(tokio::spawn(async move {
            let manager = manager().await;
            manager
                .scope(async {
                    let cache = build_here(number).await;
                    for _ in 0..200 {
                        assert_eq!(here(), Some(number));
                        tokio::task::yield_now().await;
                        let current = CacheManager::current();
                        let nested = current.scope(async {
                            tokio::task::yield_now().await;
                            here()
                        });
                        assert_eq!(nested.await, Some(number));
                    }
                    drop(cache);
                })
                .await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
        assert_eq!(here(), None);
    }
}

#[tokio::test]
async fn what_is_spawned_is_outside_unless_it_enters_again() {
    let manager = manager().await;
    manager
        .scope(async {
            let _cache = build_here(5).await;
            assert_eq!(tokio::spawn(async { here() }).await.unwrap(), None);
            let current = CacheManager::current();
            assert_eq!(tokio::spawn(async move { current.scope(async { here() }).await }).await.unwrap(), Some(5));
        })
        .await;
}

#[tokio::test]
async fn a_scope_that_is_dropped_midway_is_over() {
    let manager = manager().await;
    let mut scope = Box::pin(manager.scope(std::future::pending::<()>()));
    assert!(hybridcache_tests::poll_once(&mut scope).is_pending());
    drop(scope);
    assert_eq!(here(), None);
}

#[tokio::test]
async fn after_a_shutdown_caches_go_on_to_work() {
    let manager = manager().await;
    let cache: Cache<u64, Arc<u64>> = Cache::builder("after the end")
        .manager(&manager)
        .ttl(SECOND)
        .sweep_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    manager.shutdown().await;
    manager.shutdown().await;
    assert_eq!(*cache.get_or_load(&1, || async { Arc::new(10) }).await, 10);
    assert_eq!(cache.get(&1).await.as_deref(), Some(&10));
    let late: Cache<u64, u64> = Cache::builder("late").manager(&manager).ttl(SECOND).build().unwrap();
    assert_eq!(late.get_or_load(&1, || async { 1 }).await, 1);
    assert_eq!(manager.cache::<u64, u64>("late").unwrap().get(&1).await, Some(1));
}

#[tokio::test]
async fn a_shutdown_ends_the_sweeping() {
    let manager = manager().await;
    let cache: Cache<u64, u64> = Cache::builder("unswept")
        .manager(&manager)
        .ttl(Duration::from_millis(20))
        .sweep_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    manager.shutdown().await;
    // Another cache, of another manager, is swept on the same thread: when its entry is gone there was time for this
    // one's.
    let swept: Cache<u64, u64> = Cache::builder("swept")
        .manager(&crate::manager().await)
        .ttl(Duration::from_millis(20))
        .sweep_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    cache.insert(&1, 1).await.unwrap();
    swept.insert(&1, 1).await.unwrap();
    hybridcache_tests::until("the other is swept", || swept.is_empty()).await;
    assert_eq!((cache.len(), cache.get(&1).await), (1, None), "held, and never served");
}
