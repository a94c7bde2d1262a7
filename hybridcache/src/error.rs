//! What can go wrong in the cache itself.

use std::fmt;

/// An error of the cache, never of a cached function's body.
///
/// A caller of a `#[cached]` function does not meet it: when the cache cannot do its part, the body runs instead and the
/// fault is counted. `build()` returns it for a bad option, and so do the verbs that one calls oneself.
// One word, so that a verb that succeeds returns in registers: to hand 64 bytes through memory was a twelfth of a put.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<ErrorKind>);

/// What went wrong, as [`Error::kind`] tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option has a value that the cache or the manager cannot work with.
    #[error("option `{option}` of `{cache}`: {reason}")]
    Option {
        /// The cache being built, or the namespace of the manager.
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
    /// A cache of this name exists with other key or value types. In a remote tier the two would read each other's values: give one
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
    /// The remote tier did not acknowledge an invalidation, and the cache has `OnOutage::Fail`. The invalidation is in effect in this
    /// process, and queued for the others.
    #[error("cache `{cache}`: {reason}; in effect in this process only until the remote tier is back")]
    Outage {
        /// The cache.
        cache: String,
        /// What went wrong.
        reason: String,
    },
    /// The server of the remote tier cannot be used, or not with these options.
    #[error("the remote tier at {server}: {reason}")]
    Remote {
        /// The server, without the password.
        server: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

impl Error {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    pub(crate) fn option(cache: &str, option: &'static str, reason: impl Into<String>) -> Self {
        ErrorKind::Option { cache: cache.to_owned(), option, reason: reason.into() }.into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_that_succeeds_says_so_in_registers() {
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
        assert!(size_of::<Result<crate::Evicted, Error>>() <= 2 * size_of::<usize>());
    }

    #[test]
    fn an_error_shows_as_what_went_wrong() {
        let error = Error::option("users", "ttl", "is zero");
        assert_eq!(error.to_string(), "option `ttl` of `users`: is zero");
        assert_eq!(format!("{error:?}"), format!("{:?}", error.kind()));
    }
}
