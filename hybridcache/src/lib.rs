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
//! * [`codec`]: how values travel to remote tiers.
//!
//! # What is where
//!
//! A call looks in the memory tier (one lookup in [quick_cache](https://docs.rs/quick_cache), by borrowed key), and on
//! a miss enters a *flight*: it leads, or waits for who does. The leader looks once more, runs the body, and fills only
//! if nothing was evicted, put or cleared meanwhile. Time is read from the kernel's coarse clock ([`Clock`]).
//!
//! # Tiers
//!
//! A cache is in memory, unless its builder says otherwise. With the feature `redis`, `Builder::hybrid` puts a tier below the
//! memory that all processes share, and `Builder::redis` has that tier alone; its server is the [`CacheManager`]'s. A leader
//! then asks Redis before it runs the body, and takes the right to fill in the same round trip; an evict takes that right away
//! again and is heard by every process. Memory answers only while the process is known to have heard everything: how old an
//! answer may be, in each mode and in an outage, is written at `Consistency`. A `Fetched` says where its answer came from
//! ([`Tier`]), [`Stats::remote`] counts.
//!
#![cfg_attr(not(feature = "macros"), doc = include_str!("../docs/not_in_this_build.md"))]

#[cfg(feature = "redis")]
mod bus;
mod cache;
pub mod codec;
mod coherence;
#[cfg(feature = "redis")]
mod driver;
#[cfg(test)]
mod effort;
mod entry;
mod error;
#[cfg(feature = "redis")]
mod fleet;
mod key;
mod known;
mod manager;
mod memory;
#[cfg(any(test, feature = "redis"))]
mod nonce;
mod observe;
#[cfg(feature = "redis")]
mod record;
#[cfg(feature = "redis")]
mod redis;
mod returned;
mod rt;
mod sync;
mod time;

/// What the attributes expand to. Not for use by hand: it changes without notice.
#[doc(hidden)]
#[path = "site/mod.rs"]
pub mod __private;

#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use crate::redis::RedisOptions;
pub use cache::{
    Blocking, Builder, Cache, Evicted, Fetch, Fetched, LoadContext, Outcome, Recorded, Recorder, SingleFlight, Tier,
    Write,
};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use cache::{Consistency, OnOutage};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use coherence::token::{ConsistencyToken, InvalidToken};
pub use error::{Error, ErrorKind};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use fleet::RemoteHealth;
pub use key::Key;
pub use manager::{CacheManager, ManagerBuilder};
pub use memory::{Policy, UnknownPolicy};
pub use observe::{Evictions, Latency, Remote, RemovalReason, Stats};
pub use returned::{Returned, Share, SharedError};
pub use time::Clock;

#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use hybridcache_macros::{cache_evict, cache_put, cached};

#[cfg(all(doctest, feature = "macros", feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;
