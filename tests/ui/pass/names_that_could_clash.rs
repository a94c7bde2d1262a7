//! Arguments, errors and items with the names that an expansion might use.
use hybridcache::{cache_evict, cache_put, cached};

#[derive(Clone, Debug, PartialEq)]
pub struct Text;

#[allow(dead_code)]
mod __private {}

#[cached]
fn key(value: u64, key: u64, cache: &str, hit: u8, share: u8) -> Result<u64, Text> {
    Ok(value + key + cache.len() as u64 + u64::from(hit + share))
}

#[cached]
fn cache(result: u64, site: u64) -> u64 {
    result + site
}

#[cached]
fn evict(miss: u64) -> u64 {
    miss
}

#[cached]
fn uncached(load: u64) -> u64 {
    load
}

#[cached]
fn user(user: u64) -> u64 {
    user
}

#[cache_evict(key(1, 2, "3", 4, 5), cache(..), evict(value), uncached(value), user(value))]
fn change(value: u64) {}

#[cache_put(user(value) = value * 2)]
fn put(value: u64) -> u64 {
    value
}

fn main() {
    assert_eq!((key(1, 2, "3", 4, 5), cache(1, 2), evict(1), uncached(1), user(1)), (Ok(13), 3, 1, 1, 1));
    key::put(&1, &2, "3", &4, &5, 99).unwrap();
    assert_eq!(key(1, 2, "3", 4, 5), Ok(99));
    change(1);
    assert_eq!(
        (key::peek(&1, &2, "3", &4, &5), evict::peek(&1), uncached::peek(&1), user::peek(&1)),
        (None, None, None, None)
    );
    put(1);
    assert_eq!(user(1), 2);
}
