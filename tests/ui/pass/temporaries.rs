//! What a key borrows from lives long enough, and what a call returns lives no longer than it has to.
use std::sync::{Mutex, MutexGuard};

use hybridcache::{cache_evict, cached};
use hybridcache_tests::block_on;

static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn names() -> MutexGuard<'static, Vec<String>> {
    NAMES.lock().unwrap()
}

#[cached]
fn length(name: &str) -> usize {
    name.len()
}

#[cached(key(name: String = names().first().map_or(name, String::as_str).to_lowercase()))]
async fn first(name: &str) -> usize {
    name.len()
}

#[cache_evict(length(&names()[0].to_lowercase()), first(&format!("{}!", names().len())))]
async fn forget() -> usize {
    names().len()
}

fn main() {
    names().push("Ada".to_owned());
    assert_eq!(length(&names()[0].to_lowercase()), 3);
    block_on(async {
        assert_eq!(first("x").await, 1);
        assert_eq!(first("yy").await, 1, "the same key");
        assert_eq!(forget().await, 1);
        assert_eq!((length::peek("ada"), first::peek("z").await), (None, None));
    });
    assert_eq!(
        match length("ab") {
            found => found + names().len(),
        },
        3
    );
}
