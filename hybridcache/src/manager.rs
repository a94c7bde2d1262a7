//! The caches of a process, or of a test, together.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
#[cfg(feature = "redis")]
use std::time::Duration;

use crate::cache::registry::{Registry, Scope};
use crate::cache::{Builder, Cache};
#[cfg(feature = "redis")]
use crate::coherence::token::ConsistencyToken;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "redis")]
use crate::fleet::{Fleet, FleetOptions, RemoteHealth};
use crate::observe::Stats;
#[cfg(feature = "redis")]
use crate::redis::{RedisDriver, RedisOptions};
use crate::rt;

/// It is part of each key in a remote tier.
const LONGEST_NAMESPACE: usize = 256;
/// What a manager is called in the remote tier that was given no name.
#[cfg(feature = "redis")]
const NAMESPACE: &str = "default";

/// Owns what caches share: their names, their background work, and the instances behind annotated functions.
///
/// There always is one: functions in memory need none to be built. They use the default one of the process until another is
/// [installed](Self::install); inside a [scope](Self::scope) they use the scope's. Clones are the same manager.
#[derive(Clone)]
pub struct CacheManager {
    registry: Arc<Registry>,
}

impl std::fmt::Debug for CacheManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheManager").field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}

impl CacheManager {
    /// Starts building a manager.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder::default()
    }

    /// The manager that a call made here and now belongs to.
    #[must_use]
    pub fn current() -> Self {
        Self { registry: Registry::current() }
    }

    /// Makes this the manager of the process. Functions that were called before start with empty caches.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyInstalled`](crate::ErrorKind::AlreadyInstalled) the second time.
    pub fn install(self) -> Result<Self, Error> {
        if self.registry.install() { Ok(self) } else { Err(ErrorKind::AlreadyInstalled.into()) }
    }

    /// Runs `future` with this manager: annotated functions that it calls have caches of their own, so that tests
    /// that run side by side share nothing. Tasks that it spawns are outside, unless they enter the scope again; the reloads of
    /// `refresh_ahead` are inside. While any scope is open in the process, hits of annotated functions cost one more lookup.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        Scope::open(Arc::clone(&self.registry)).run(future).await
    }

    /// [`scope`](Self::scope) for plain code.
    pub fn scope_blocking<T>(&self, work: impl FnOnce() -> T) -> T {
        let scope = Scope::open(Arc::clone(&self.registry));
        let _inside = scope.enter();
        work()
    }

    /// A cache by its name, such as that of an annotated method in a trait impl, which cannot be reached otherwise. If
    /// several have this name and these types, the newest.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownCache`](crate::ErrorKind::UnknownCache), [`ErrorKind::OtherTypes`](crate::ErrorKind::OtherTypes).
    pub fn cache<K, V>(&self, name: &str) -> Result<Cache<K, V>, Error>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let named = self.registry.named(name);
        let actual = named.last().map(|cache| cache.types());
        let found = named.into_iter().rev().find_map(|cache| cache.into_any().downcast().ok());
        match (found, actual) {
            (Some(inner), _) => Ok(Cache { inner }),
            (None, None) => Err(ErrorKind::UnknownCache { name: name.to_owned() }.into()),
            (None, Some(actual)) => {
                let (name, asked) = (name.to_owned(), std::any::type_name::<(K, V)>());
                Err(ErrorKind::OtherTypes { name, asked, actual }.into())
            }
        }
    }

    /// The statistics of every cache, ordered by name.
    #[must_use]
    pub fn stats(&self) -> Vec<(String, Stats)> {
        self.registry.all().into_iter().map(|(name, cache)| (name, cache.stats())).collect()
    }

    /// The sum of the statistics of all caches.
    #[must_use]
    pub fn total(&self) -> Stats {
        let mut total = Stats::default();
        self.stats().iter().for_each(|(_, stats)| total.merge(stats));
        total
    }

    /// Clears every cache, in every tier. With a remote tier this thread waits for its answers, one round trip for each cache.
    pub fn clear(&self) {
        let caches = self.registry.all();
        // First all that is here: it takes no time.
        caches.iter().for_each(|(_, cache)| cache.clear_now());
        caches.iter().filter_map(|(_, cache)| cache.clearing()).for_each(rt::block_on);
    }

    /// What the remote tier is doing; `None` without one.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    #[must_use]
    pub fn remote_health(&self) -> Option<RemoteHealth> {
        self.registry.fleet().map(|fleet| fleet.health())
    }

    /// A token for every evict, put and clear of this process that was acknowledged so far. Another process that is given it, with a
    /// redirect for example, can use [`after`](Self::after) to read nothing older. `None` if there was nothing.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    #[must_use]
    pub fn token(&self) -> Option<ConsistencyToken> {
        self.registry.fleet().and_then(|fleet| fleet.token())
    }

    /// Returns when what the token names is in effect in this process: what is read from then on is no older. Normally that is at
    /// once. At the latest it is after the manager's staleness bound, in which case memory starts anew.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub async fn after(&self, token: ConsistencyToken) {
        if let Some(fleet) = self.registry.fleet() {
            fleet.catch_up(token).await;
        }
    }

    /// The namespace it was built with.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.registry.namespace()
    }

    /// Ends the background work: waits for reloads that are under way, starts no more of them, and stops sweeping. The
    /// caches go on working, and expired entries are still never served. If this is called several times, each call returns when all
    /// work has ended.
    ///
    /// With a remote tier it sends what is queued, for up to a second, and closes the connections. From then on its caches
    /// work as in an outage without end: what is evicted or put then reaches no other process. So call it last, when
    /// nobody writes any more.
    pub async fn shutdown(&self) {
        self.registry.shutdown().await;
    }
}

impl<K, V> Builder<K, V> {
    /// The manager the cache belongs to. Default: [`CacheManager::current`].
    pub fn manager(mut self, manager: &CacheManager) -> Self {
        self.registry = Some(Arc::clone(&manager.registry));
        self
    }
}

/// Options of a [`CacheManager`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build()`"]
pub struct ManagerBuilder {
    namespace: Option<String>,
    #[cfg(feature = "redis")]
    fleet: FleetOptions,
    #[cfg(feature = "redis")]
    redis: Option<RedisOptions>,
}

impl ManagerBuilder {
    /// A name that sets this application apart from others: letters, digits, `_`, `.` and `-`, at most 256 of them. In a
    /// remote tier it is part of every key; applications without one all share the namespace `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// No answer of a [`Bounded`](crate::Consistency::Bounded) cache is older than this after an evict in another
    /// process: a process without word from the remote tier for this long asks it before it answers. Default: 2 s; at
    /// least 40 ms and three heartbeats.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn staleness_bound(mut self, bound: Duration) -> Self {
        self.fleet.staleness_bound = bound;
        self
    }

    /// How often the remote tier is asked for the newest invalidation: one round trip each time for the whole process, whatever the
    /// number of caches. Default: a quarter of [`staleness_bound`](Self::staleness_bound), and at most 500 ms; at least 10
    /// ms.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.fleet.said_heartbeat = Some(interval);
        self
    }

    /// Makes it an error to build a cache with a remote tier if this manager has none. Default: false; such a cache
    /// works in memory, and says so once in the log.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn require_remote(mut self, require: bool) -> Self {
        self.fleet.require_remote = require;
        self
    }

    /// The Redis that the caches of this manager share with other processes, by its URL:
    /// `redis://[user[:password]@]host[:port][/database]`, `rediss://…` for TLS, `unix:///path/to/socket`.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn redis(self, url: impl Into<String>) -> Self {
        self.redis_options(RedisOptions::new(url))
    }

    /// Like [`redis`](Self::redis), with certificates, timeouts and other options.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn redis_options(mut self, options: RedisOptions) -> Self {
        self.redis = Some(options);
        self
    }

    /// Builds the manager. Async, because remote tiers connect here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Option`](crate::ErrorKind::Option) for a namespace with other characters, or for durations that do not go
    /// together; [`ErrorKind::Remote`](crate::ErrorKind::Remote), which says why, for a server that cannot be used.
    pub async fn build(self) -> Result<CacheManager, Error> {
        if let Some(namespace) = &self.namespace {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if namespace.is_empty() || namespace.len() > LONGEST_NAMESPACE || !namespace.chars().all(allowed) {
                return Err(Error::option(
                    namespace,
                    "namespace",
                    "is made of 1 to 256 letters, digits, `_`, `.` and `-`",
                ));
            }
        }
        #[cfg(feature = "redis")]
        let fleet = {
            let namespace = self.namespace.as_deref().unwrap_or(NAMESPACE);
            self.fleet.check(namespace)?;
            match self.redis {
                Some(options) => {
                    let driver = RedisDriver::connect(namespace, options).await?;
                    Some(Fleet::start(driver, namespace.to_owned(), &self.fleet))
                }
                None => None,
            }
        };
        let registry = Registry::new(self.namespace);
        #[cfg(feature = "redis")]
        let registry = registry.with_fleet(fleet, self.fleet.require_remote);
        Ok(CacheManager { registry: Arc::new(registry) })
    }
}
