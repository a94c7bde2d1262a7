//! Installing a manager for the process: a test binary of its own, because a process does it once.

use hybridcache::{Cache, CacheManager, ErrorKind, cached};
use hybridcache_tests::{Runs, block_on};

#[cached(name = "function", skip(runs))]
fn function(id: u64, runs: &Runs) -> u64 {
    id * 100 + runs.run()
}

#[test]
fn one_manager_is_installed_for_the_process() {
    let before: Cache<u64, u64> = Cache::builder("before").build().unwrap();
    assert!(CacheManager::current().cache::<u64, u64>("before").is_ok());
    assert_eq!(CacheManager::current().namespace(), None);

    let runs = Runs::default();
    assert_eq!((function(7, &runs), function(7, &runs)), (701, 701));
    let kept = function::cache();

    let manager = block_on(CacheManager::builder().namespace("installed").build()).unwrap();
    let manager = manager.install().unwrap();
    assert_eq!(CacheManager::current().namespace(), Some("installed"));
    let after: Cache<u64, u64> = Cache::builder("after").build().unwrap();
    assert!(manager.cache::<u64, u64>("after").is_ok());
    let elsewhere = manager.cache::<u64, u64>("before").unwrap_err();
    assert!(matches!(elsewhere.kind(), ErrorKind::UnknownCache { .. }), "it is the other manager's: {elsewhere}");
    let elsewhere = std::thread::spawn(|| CacheManager::current().namespace().map(str::to_owned)).join().unwrap();
    assert_eq!(elsewhere.as_deref(), Some("installed"));

    let second = block_on(CacheManager::builder().namespace("second").build()).unwrap();
    assert_eq!(*second.clone().install().unwrap_err().kind(), ErrorKind::AlreadyInstalled);
    assert_eq!(*manager.clone().install().unwrap_err().kind(), ErrorKind::AlreadyInstalled, "not even the same one");
    assert_eq!(CacheManager::current().namespace(), Some("installed"));
    second.scope_blocking(|| assert_eq!(CacheManager::current().namespace(), Some("second"), "a scope goes before"));
    assert_eq!(CacheManager::current().namespace(), Some("installed"));

    assert_eq!((function(7, &runs), function(7, &runs)), (702, 702), "a function that was called before starts anew");
    assert_eq!(manager.cache::<u64, u64>("function").unwrap().stats().hits, 1);
    assert_eq!(kept.blocking().peek(&7), Some(701), "who holds the old cache holds the old cache");
    second.scope_blocking(|| assert_eq!((function(7, &runs), function(7, &runs)), (703, 703)));
    assert_eq!(function(7, &runs), 702);
    function::evict(&7).unwrap();
    assert_eq!((function(7, &runs), kept.blocking().peek(&7)), (704, Some(701)));
    drop((before, after));
}
