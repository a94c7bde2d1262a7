//! Installing a manager for the process: a test binary of its own, because a process does it once.

use hybridcache::{Cache, CacheManager, Error};
use hybridcache_tests::block_on;

#[test]
fn one_manager_is_installed_for_the_process() {
    let before: Cache<u64, u64> = Cache::builder("before").build().unwrap();
    assert!(CacheManager::current().cache::<u64, u64>("before").is_ok());
    assert_eq!(CacheManager::current().namespace(), None);

    let manager = block_on(CacheManager::builder().namespace("installed").build()).unwrap();
    let manager = manager.install().unwrap();
    assert_eq!(CacheManager::current().namespace(), Some("installed"));
    let after: Cache<u64, u64> = Cache::builder("after").build().unwrap();
    assert!(manager.cache::<u64, u64>("after").is_ok());
    assert!(
        matches!(
            manager.cache::<u64, u64>("before"),
            Err(Error::UnknownCache { .. })
        ),
        "it is the other manager's"
    );
    let elsewhere = std::thread::spawn(|| CacheManager::current().namespace().map(str::to_owned))
        .join()
        .unwrap();
    assert_eq!(elsewhere.as_deref(), Some("installed"));

    let second = block_on(CacheManager::builder().namespace("second").build()).unwrap();
    assert_eq!(
        second.clone().install().unwrap_err(),
        Error::AlreadyInstalled
    );
    assert_eq!(
        manager.clone().install().unwrap_err(),
        Error::AlreadyInstalled,
        "not even the same one"
    );
    assert_eq!(CacheManager::current().namespace(), Some("installed"));
    second.scope_blocking(|| {
        assert_eq!(
            CacheManager::current().namespace(),
            Some("second"),
            "a scope goes before"
        )
    });
    assert_eq!(CacheManager::current().namespace(), Some("installed"));
    drop((before, after));
}
