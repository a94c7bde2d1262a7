//! The runtime under another path, as a crate re-exports it.
mod prelude {
    pub use ::hybridcache as cache;
}

use prelude::cache::{cache_evict, cache_put, cached};

#[cached(crate = prelude::cache, ttl = "60s")]
fn user(id: u64) -> String {
    id.to_string()
}

#[cached(crate = crate::prelude::cache, handle = false, name = "orders")]
fn order(id: u64) -> Result<String, std::io::Error> {
    Ok(id.to_string())
}

#[cache_evict(crate = crate::prelude::cache, user(id), named("orders", ..))]
fn forget(id: u64) {}

#[cache_put(user(id) = result.clone(), crate = prelude::cache)]
fn rename(id: u64) -> Option<String> {
    Some("renamed".to_owned())
}

#[allow(unused)]
mod hybridcache {}

fn main() {
    assert_eq!((user(1), order(1).unwrap()), ("1".to_owned(), "1".to_owned()));
    forget(1);
    assert_eq!(user::peek(&1), None);
    rename(1);
    assert_eq!(user(1), "renamed");
}
