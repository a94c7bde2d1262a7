//! What can go wrong in the cache itself.

/// An error of the cache, never of a cached function's body.
///
/// A caller of a `#[cached]` function does not meet it: when the cache cannot do its part the body runs instead and the
/// fault is counted. It is what `build()` returns for a bad option, and what an explicit verb returns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option has a value the cache cannot work with.
    #[error("cache `{cache}`: option `{option}`: {reason}")]
    Option {
        /// The cache being built.
        cache: String,
        /// The option, as it is named on the builder and in the attribute.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// No cache of this name exists in the manager (its function may not have been called yet).
    #[error("no cache is named `{name}`; a function's cache exists from its first call on")]
    UnknownCache {
        /// The name that was asked for.
        name: String,
    },
    /// A cache of this name exists, with other key or value types. Two in one remote tier would read each other's values: give one
    /// of them another `name`, or another `version`.
    #[error("the cache `{name}` has key and value types {actual}, not {asked}")]
    OtherTypes {
        /// The name that was asked for.
        name: String,
        /// The types the caller asked for.
        asked: &'static str,
        /// The types the cache has.
        actual: &'static str,
    },
    /// A manager has been installed already; a process has one default.
    #[error("a cache manager is installed already: install one per process, or use `CacheManager::scope`")]
    AlreadyInstalled,
    /// The remote tier did not acknowledge an invalidation, and the cache is told not to queue it. It is in effect in this process.
    #[error("cache `{cache}`: {reason}; in effect in this process only")]
    Outage {
        /// The cache.
        cache: String,
        /// What went wrong.
        reason: String,
    },
    /// The server of the remote tier cannot be used as it is, or as it is spoken to.
    #[error("the remote tier at {server}: {reason}")]
    Remote {
        /// The server, without the password.
        server: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

impl Error {
    pub(crate) fn option(cache: &str, option: &'static str, reason: impl Into<String>) -> Self {
        Self::Option { cache: cache.to_owned(), option, reason: reason.into() }
    }
}
