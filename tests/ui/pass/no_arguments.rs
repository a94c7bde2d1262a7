//! No arguments, no return value, neither.
use std::sync::atomic::{AtomicU64, Ordering};

use hybridcache::cached;
use hybridcache_tests::block_on;

static RUNS: AtomicU64 = AtomicU64::new(0);

#[cached]
fn settings() -> String {
    RUNS.fetch_add(1, Ordering::SeqCst);
    "settings".to_owned()
}

#[cached]
async fn warm() {
    RUNS.fetch_add(10, Ordering::SeqCst);
}

#[cached]
fn check(id: u64) {
    RUNS.fetch_add(100 * id, Ordering::SeqCst);
}

#[cached]
fn try_check(id: u64) -> Result<(), String> {
    RUNS.fetch_add(1000, Ordering::SeqCst);
    if id == 0 { Err("zero".to_owned()) } else { Ok(()) }
}

fn main() {
    assert_eq!((settings(), settings()), ("settings".to_owned(), "settings".to_owned()));
    assert_eq!(RUNS.swap(0, Ordering::SeqCst), 1);
    block_on(async {
        warm().await;
        warm().await;
    });
    assert_eq!(RUNS.swap(0, Ordering::SeqCst), 10);
    check(2);
    check(2);
    assert_eq!(RUNS.swap(0, Ordering::SeqCst), 200);
    assert!(try_check(1).is_ok() && try_check(1).is_ok() && try_check(0).is_err() && try_check(0).is_err());
    assert_eq!(RUNS.swap(0, Ordering::SeqCst), 3000);
    settings::key();
    settings::evict().unwrap();
    assert_eq!(settings::peek(), None);
}
