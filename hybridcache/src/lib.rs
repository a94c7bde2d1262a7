#![cfg_attr(docsrs, feature(doc_cfg))]
//! Memoise a function with one attribute: typed keys, single-flight, expiry, and evictions that no slow load can undo.
//!
//! ```
//! use hybridcache::{cache_evict, cached};
//!
//! #[cached(ttl = "60s")]
//! async fn user(id: u64) -> Result<String, std::io::Error> {
//!     Ok(format!("user {id}")) // ask the database
//! }
//!
//! #[cache_evict(user(id))]
//! async fn rename(id: u64, name: &str) -> Result<(), std::io::Error> {
//!     println!("{id} is now {name}"); // tell the database
//!     Ok(())
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! user(7).await?; // loads
//! user(7).await?; // a hit
//! rename(7, "Ada").await?; // evicts
//! user::evict(&7).await?; // so does this
//! # Ok(()) }
//! ```
//!
//! * [`cached`], [`cache_evict`], [`cache_put`]: the attributes, each with its options.
//! * [`Cache`]: everything they do, by hand.
//! * [`CacheManager`]: names, statistics, scopes for tests, shutdown.
//! * [`Key`]: what can be a key, and why a hit allocates nothing.
//!
//! # What is where
//!
//! A call looks in the memory tier (one lookup in [quick_cache](https://docs.rs/quick_cache), by borrowed key), and on
//! a miss enters a *flight*: it leads, or waits for who does. The leader looks once more, runs the body, and fills only
//! if nothing was evicted, put or cleared meanwhile. Time is read from the kernel's coarse clock ([`Clock`]).

mod cache;
mod coherence;
mod entry;
mod error;
mod key;
mod manager;
mod memory;
mod observe;
mod returned;
mod rt;
mod sync;
mod time;

/// What the attributes expand to. Not for use by hand: it changes without notice.
#[doc(hidden)]
#[path = "site/mod.rs"]
pub mod __private;

pub use cache::{
    Blocking, Builder, Cache, Evicted, Fetch, Fetched, LoadContext, Outcome, Policy, Recorded, Recorder, SingleFlight,
    Tier, Write,
};
pub use error::Error;
pub use key::Key;
pub use manager::{CacheManager, ManagerBuilder};
pub use observe::{Evictions, Latency, RemovalReason, Stats};
pub use returned::{Returned, Share, SharedError};
pub use time::Clock;

#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use hybridcache_macros::{cache_evict, cache_put, cached};

#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../../README.md")]
struct Readme;
