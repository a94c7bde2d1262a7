//! The expansion trips no lint of the user's, and what he allows or expects of a function holds for all that it becomes.
#![deny(
    warnings,
    missing_docs,
    unused,
    rust_2018_idioms,
    rust_2024_compatibility,
    nonstandard_style,
    future_incompatible,
    missing_debug_implementations,
    missing_copy_implementations,
    trivial_casts,
    trivial_numeric_casts,
    unreachable_pub,
    unsafe_code,
    single_use_lifetimes,
    let_underscore_drop,
    redundant_lifetimes,
    unit_bindings,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    variant_size_differences,
    elided_lifetimes_in_paths
)]
#![forbid(unsafe_op_in_unsafe_fn)]

use hybridcache::{cache_evict, cache_put, cached};
use hybridcache_tests::block_on;

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
}

/// The users.
#[derive(Clone, Copy, Debug)]
pub struct Users;

/// Loads one.
#[cached(ttl = "60s", store_if = |user| !user.name.is_empty(), jitter = "10%", refresh_ahead = 0.5)]
pub async fn user(id: u64, lang: &str) -> Result<User, std::fmt::Error> {
    Ok(User { name: format!("{id}{lang}") })
}

/// Counts.
#[cached(key(text: String = text.to_lowercase()), when = !text.is_empty())]
pub fn count(text: &str) -> usize {
    text.len()
}

/// Finds one.
#[cached(max_weight = "1MiB", weigh = |_, found| found.len() as u64)]
pub fn find<T: AsRef<[u8]> + Clone + Eq + std::hash::Hash + Send + Sync + 'static>(of: T) -> Vec<u8> {
    of.as_ref().to_vec()
}

impl Users {
    /// Loads one.
    #[cached(skip(self), none_ttl = "1s")]
    pub async fn user(&self, id: u64, lang: &str) -> Option<User> {
        Some(User { name: format!("{id}{lang}") })
    }

    /// Loads one.
    #[cached(handle = Self)]
    pub fn load(id: u64) -> User {
        User { name: id.to_string() }
    }

    /// Renames one.
    #[cache_evict(self.user(id, "en"), Self::load(id), user(id, "en"))]
    #[cache_put(user(id, "de") = User { name: name.to_owned() })]
    pub async fn rename(&self, id: u64, name: &str) -> Result<(), std::io::Error> {
        Ok(())
    }
}

/// Unused.
#[cached]
fn unused(_ignored: u8) -> u8 {
    7
}

/// Renamed soon.
#[deprecated]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Old;

/// Finds an old one.
#[allow(deprecated, non_snake_case)]
#[cached(skip(userId))]
pub fn old(id: Old, userId: u64) -> Old {
    let _ = userId;
    id
}

/// Finds one that is older.
#[cached(ttl = "60s", refresh_ahead = 0.5, when = id > 0)]
#[deprecated]
#[must_use]
pub fn older(id: u64) -> u64 {
    id
}

impl Users {
    /// Finds one that is older.
    #[cached(skip(self), ttl = "60s", refresh_ahead = 0.5)]
    #[deprecated]
    #[doc(hidden)]
    pub async fn older(self: &std::sync::Arc<Self>, id: u64) -> u64 {
        id
    }

    /// Forgets one that is older.
    #[cache_evict(older(id), self.older(id))]
    pub async fn forget(self: &std::sync::Arc<Self>, id: u64) {}
}

#[cached]
#[expect(dead_code, non_snake_case)]
fn Never(id: u64, #[expect(unused_variables)] of: u64) -> u64 {
    id
}

impl Users {
    /// Reads one.
    #[allow(non_snake_case)]
    #[cached(skip(self))]
    pub fn getUser(&self, userId: u64, #[allow(unused_variables)] (left, right): (u8, u8)) -> u64 {
        userId
    }
}

fn main() {
    block_on(async {
        assert!(user(1, "en").await.is_ok());
        assert!(Users.user(1, "en").await.is_some());
        Users.rename(1, "Ada").await.unwrap();
        assert_eq!(user::peek(&1, "de").await.map(|user| user.name).as_deref(), Some("Ada"));
    });
    assert_eq!((count("A"), find("a"), unused(1)), (1, b"a".to_vec(), 7));
    assert_eq!((Users::load(1).name.as_str(), Users.getUser(1, (2, 3))), ("1", 1));
}
