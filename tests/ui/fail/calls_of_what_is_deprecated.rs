#![deny(deprecated, unused_must_use)]

use hybridcache::{cache_evict, cached};

#[cached]
#[deprecated = "there is a newer one"]
#[must_use]
pub fn user(id: u64) -> u64 { id }

#[cache_evict(user(id))]
pub fn rename(id: u64) {}

fn main() {
    user(1);
    user::uncached(1);
    user::refresh(1);
    user::evict(&1).unwrap();
}
