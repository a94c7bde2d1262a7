//! The caches there are, by name and by site, and which of several managers a call belongs to.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Mutex, RwLock};

use super::Inner;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "redis")]
use crate::fleet::Fleet;
use crate::known::Known;
use crate::observe::Stats;
use crate::rt::{OnceCell, Tasks};

/// What a manager knows and owns.
#[derive(Default)]
pub(crate) struct Registry {
    namespace: Option<String>,
    #[cfg(feature = "redis")]
    fleet: Option<Arc<Fleet>>,
    #[cfg(feature = "redis")]
    requires_remote: bool,
    caches: Mutex<Known<String, dyn Erased>>,
    /// The caches of annotated functions, by the type that stands for the instance.
    sites: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    /// Shared with the caches, which must not hold their manager: it holds those of sites.
    pub(crate) tasks: Arc<Tasks>,
    /// Its work has ended.
    ended: OnceCell<()>,
}

/// Work on the remote tier that is on its way.
pub(crate) type Going = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A cache whose types are not known.
pub(crate) trait Erased: Send + Sync {
    fn stats(&self) -> Stats;
    fn types(&self) -> &'static str;
    /// The version of its values' shape, if they are in a remote tier.
    fn version_elsewhere(&self) -> Option<u32>;
    /// Evicts a key of whatever type; `false` if it is not this cache's.
    fn evict_any(&self, key: &dyn Any) -> bool;
    /// The rest of [`evict_any`](Self::evict_any), in the remote tier.
    fn evicting_any(&self, key: &dyn Any) -> Option<Going>;
    fn evict_any_later(&self, key: &dyn Any);
    fn clear_now(&self);
    /// The rest of [`clear_now`](Self::clear_now), in the remote tier.
    fn clearing(&self) -> Option<Going>;
    fn clear_later(&self);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl Registry {
    pub(crate) fn new(namespace: Option<String>) -> Self {
        Self { namespace, ..Self::default() }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn with_fleet(mut self, fleet: Option<Arc<Fleet>>, requires_remote: bool) -> Self {
        (self.fleet, self.requires_remote) = (fleet, requires_remote);
        self
    }

    /// The remote tier, if the manager has one.
    #[cfg(feature = "redis")]
    pub(crate) fn fleet(&self) -> Option<&Arc<Fleet>> {
        self.fleet.as_ref()
    }

    #[cfg(feature = "redis")]
    pub(crate) fn requires_remote(&self) -> bool {
        self.requires_remote
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Ends the work. Whoever comes while somebody is at it waits, and goes on with it if that one leaves.
    pub(crate) async fn shutdown(&self) {
        let end = || async {
            self.tasks.shutdown().await;
            #[cfg(feature = "redis")]
            if let Some(fleet) = &self.fleet {
                fleet.shutdown().await;
            }
        };
        self.ended.get_or_init(end).await;
    }

    /// Fails if the cache would share its place in the remote tier with one of other types.
    pub(crate) fn add<K, V>(&self, cache: &Arc<Inner<K, V>>) -> Result<(), Error>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        // Declared first, to be dropped when no lock is held: the last handle may go meanwhile, and what is in the cache
        // is the user's.
        let mut others: Vec<Arc<dyn Erased>> = Vec::new();
        let mut caches = self.caches.lock();
        if let version @ Some(_) = cache.version_elsewhere() {
            // The first of those that share a place stands for all of them: none of other types was let in beside it.
            let mut named = caches.named(&cache.name).inspect(|other| others.push(Arc::clone(other)));
            if let Some(other) = named.find(|other| other.version_elsewhere() == version)
                && !Arc::clone(&other).into_any().is::<Inner<K, V>>()
            {
                let (name, asked, actual) = (cache.name.clone(), cache.types(), other.types());
                return Err(ErrorKind::OtherTypes { name, asked, actual }.into());
            }
        }
        caches.add(cache.name.clone(), Arc::downgrade(cache) as Weak<dyn Erased>);
        Ok(())
    }

    /// The living caches of this name, the newest last.
    pub(crate) fn named(&self, name: &str) -> Vec<Arc<dyn Erased>> {
        self.caches.lock().named(name).collect()
    }

    /// All living caches with their names.
    pub(crate) fn all(&self) -> Vec<(String, Arc<dyn Erased>)> {
        let caches = self.caches.lock();
        let mut all: Vec<_> = caches
            .by_name
            .iter()
            .flat_map(|(name, caches)| caches.iter().filter_map(|cache| Some((name.clone(), cache.upgrade()?))))
            .collect();
        drop(caches);
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// The instance that `id` stands for, made by `make` the first time.
    pub(crate) fn site<T: Any + Send + Sync>(&self, id: TypeId, make: impl FnOnce() -> T) -> Arc<T> {
        let known = self.sites.read().get(&id).cloned();
        let site = known.unwrap_or_else(|| {
            // Made outside the lock: it runs the user's option expressions. Of two that race, the first to arrive
            // counts.
            let made = Arc::new(make());
            Arc::clone(self.sites.write().entry(id).or_insert(made))
        });
        site.downcast().expect("a type stands for one instance, of one type")
    }

    /// The registry that a call made now belongs to.
    pub(crate) fn current() -> Arc<Self> {
        match Self::mode() {
            Mode::Process(installed) => Arc::clone(Self::process(installed)),
            Mode::Scoped => innermost().unwrap_or_else(|| Arc::clone(Self::process(INSTALLED.get().is_some()))),
        }
    }

    /// Which registry a call has to look for.
    #[inline]
    pub(crate) fn mode() -> Mode {
        match MODE.load(Ordering::Acquire) {
            DEFAULT => Mode::Process(false),
            INSTALLED_BIT => Mode::Process(true),
            _ => Mode::Scoped,
        }
    }

    /// The registry of the process: the one that was there from the start, or the one that was installed.
    pub(crate) fn process(installed: bool) -> &'static Arc<Self> {
        static FIRST: OnceLock<Arc<Registry>> = OnceLock::new();
        match INSTALLED.get() {
            Some(registry) if installed => registry,
            _ => FIRST.get_or_init(Arc::default),
        }
    }

    /// Makes this the registry of the process; `false` if one was installed before.
    pub(crate) fn install(self: &Arc<Self>) -> bool {
        let first = INSTALLED.set(Arc::clone(self)).is_ok();
        if first {
            MODE.fetch_or(INSTALLED_BIT, Ordering::Release);
        }
        first
    }
}

/// See [`Registry::mode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// That of the process; `true` if one was installed.
    Process(bool),
    /// Some thread is inside a scope: this one may be.
    Scoped,
}

const DEFAULT: usize = 0;
const INSTALLED_BIT: usize = 1;
const SCOPE_STEP: usize = 2;

/// All that a hit has to look at to know that its site's first guess is right: whether a registry was installed, and
/// how many scopes are open.
static MODE: AtomicUsize = AtomicUsize::new(DEFAULT);
static INSTALLED: OnceLock<Arc<Registry>> = OnceLock::new();

thread_local! {
    static SCOPE: RefCell<Vec<Arc<Registry>>> = const { RefCell::new(Vec::new()) };
}

/// The scope that a call made now is in. A thread that is ending has left them all.
fn innermost() -> Option<Arc<Registry>> {
    SCOPE.try_with(|scope| scope.borrow().last().cloned()).ok().flatten()
}

/// A scope is open somewhere while this exists; it is entered where [`enter`](Self::enter) was called.
pub(crate) struct Scope(Arc<Registry>);

impl Scope {
    pub(crate) fn open(registry: Arc<Registry>) -> Self {
        MODE.fetch_add(SCOPE_STEP, Ordering::Release);
        Self(registry)
    }

    /// The one that a call made now is in, for what it leaves behind.
    pub(crate) fn here() -> Option<Self> {
        match Registry::mode() {
            Mode::Process(_) => None,
            Mode::Scoped => innermost().map(Self::open),
        }
    }

    /// Runs a future inside.
    pub(crate) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let _inside = self.enter();
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Calls made on this thread belong to the scope until what is returned is dropped.
    pub(crate) fn enter(&self) -> impl Drop + use<> {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                SCOPE.with_borrow_mut(Vec::pop);
            }
        }
        SCOPE.with_borrow_mut(|scope| scope.push(Arc::clone(&self.0)));
        Leave
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        MODE.fetch_sub(SCOPE_STEP, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;
    use crate::effort::{grows_as_much, spent};

    #[test]
    fn caches_that_are_gone_are_forgotten() {
        let registry = Arc::new(Registry::new(None));
        let build = |tenant: u64| {
            let mut builder = Cache::<u64, u64>::builder(format!("tenant-{tenant}"));
            builder.registry = Some(Arc::clone(&registry));
            builder.build().unwrap()
        };
        let kept: Vec<_> = (0..100).map(build).collect();
        (100..10_000).for_each(|tenant| drop(build(tenant)));
        let known = registry.caches.lock().by_name.len();
        assert!((100..=300).contains(&known), "{known}");
        assert_eq!(registry.all().len(), 100);
        assert!(kept.iter().all(|cache| registry.named(cache.name()).len() == 1));
    }

    #[test]
    fn many_caches_of_one_name_are_built_at_no_great_cost() {
        grows_as_much(1_000, |many| {
            let registry = Arc::new(Registry::new(None));
            let build = |_| {
                let mut builder = Cache::<u64, u64>::builder("users").capacity(1);
                builder.registry = Some(Arc::clone(&registry));
                builder.build().unwrap()
            };
            let mut kept = Vec::new();
            let spent = spent(|| kept.extend((0..many).map(build)));
            assert_eq!(registry.named("users").len(), kept.len());
            spent
        });
    }
}
