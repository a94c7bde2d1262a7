//! Where an annotated function finds its cache.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use super::Resolved;
use crate::cache::registry::{Mode, Registry};
use crate::cache::{Builder, Cache, SingleFlight};

/// How many instances of a generic function a site finds without asking the manager.
const WAYS: usize = 4;

/// The place of a function that has one instance: one `static` in its hidden accessor.
///
/// What a site finds belongs to the manager of the process: to the one that was there from the start, or to the
/// installed one. That the first guess is right one load tells; in a scope the answer is looked up.
///
/// The bounds are for those whose types do not have them: rustc says so in a line, where it would else explain on two
/// pages why what is in a cache makes a `static` that is not `Sync`.
#[derive(Debug)]
pub struct PlainSite<K: Send + Sync, V: Send + Sync> {
    slots: [OnceLock<Cache<K, V>>; 2],
}

impl<K: Send + Sync, V: Send + Sync> PlainSite<K, V> {
    /// A site that has no cache yet. It asks no more of the types than the struct does: what else they lack is told
    /// where they are written, and not once more here.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is made in a static")]
    pub const fn new() -> Self {
        Self { slots: [const { OnceLock::new() }; 2] }
    }
}

impl<K, V> PlainSite<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A builder for this site, which knows the types.
    pub fn builder(&self, name: impl Into<Cow<'static, str>>) -> Builder<K, V> {
        Cache::builder(name)
    }

    /// The function's cache. `build` must capture nothing.
    #[inline]
    pub fn cache<F: Fn() -> Builder<K, V> + 'static>(&'static self, build: F) -> Resolved<'static, K, V> {
        match guess(&self.slots, OnceLock::get) {
            Some(cache) => Resolved::Borrowed(cache),
            None => self.resolve(build),
        }
    }

    #[cold]
    #[inline(never)]
    fn resolve<F: Fn() -> Builder<K, V> + 'static>(&'static self, build: F) -> Resolved<'static, K, V> {
        let (mode, cache) = instance(build);
        match mode {
            Mode::Process(installed) => Resolved::Borrowed(self.slots[usize::from(installed)].get_or_init(|| cache)),
            Mode::Scoped => Resolved::Owned(cache),
        }
    }
}

/// The place of a function that may have several instances: a generic one, or a method, whose impl may be generic.
///
/// A `static` in a generic function is one for all its instances, so this one is untyped. It tells instances apart by
/// the type of the closure that builds their cache: that names the function and its generic arguments, which `(K, V)`
/// would not (`name::<A>` and `name::<B>` may have the same).
#[derive(Debug)]
pub struct Site {
    slots: [[OnceLock<Box<dyn Any + Send + Sync>>; WAYS]; 2],
}

/// A cache, marked with the type that builds it.
struct Instance<K, V, F> {
    cache: Cache<K, V>,
    built_by: PhantomData<fn() -> F>,
}

impl Site {
    /// A site that has no cache yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is made in a static")]
    pub const fn new() -> Self {
        Self { slots: [const { [const { OnceLock::new() }; WAYS] }; 2] }
    }

    /// The cache of the instance that `build` stands for. `build` must capture nothing.
    #[inline]
    pub fn cache<K, V, F>(&'static self, build: F) -> Resolved<'static, K, V>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        F: Fn() -> Builder<K, V> + 'static,
    {
        // Most have one instance after all.
        match guess(&self.slots, |[first, ..]| first.get()?.downcast_ref::<Instance<K, V, F>>()) {
            Some(instance) => Resolved::Borrowed(&instance.cache),
            None => self.resolve(build),
        }
    }

    #[inline(never)]
    fn resolve<K, V, F>(&'static self, build: F) -> Resolved<'static, K, V>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        F: Fn() -> Builder<K, V> + 'static,
    {
        if let Mode::Process(installed) = Registry::mode() {
            let mut known = self.slots[usize::from(installed)].iter().map_while(OnceLock::get);
            if let Some(instance) = known.find_map(|known| known.downcast_ref::<Instance<K, V, F>>()) {
                return Resolved::Borrowed(&instance.cache);
            }
        }
        let (mode, cache) = instance(build);
        if let Mode::Process(installed) = mode {
            let instance = Instance::<K, V, F> { cache: cache.clone(), built_by: PhantomData };
            let mut instance: Box<dyn Any + Send + Sync> = Box::new(instance);
            for slot in &self.slots[usize::from(installed)] {
                match slot.set(instance) {
                    Ok(()) => break,
                    // Another thread was at the same, and has put the same cache here.
                    Err(_) if slot.get().is_some_and(|there| there.is::<Instance<K, V, F>>()) => break,
                    Err(taken) => instance = taken,
                }
            }
        }
        Resolved::Owned(cache)
    }
}

/// What a site has for the manager of the process, if that is the one to ask. A branch for each slot: a place that is
/// computed from the mode could not be read before the mode is known, which is a tenth of a hit.
#[inline(always)]
fn guess<T, U>(slots: &'static [T; 2], get: impl Fn(&'static T) -> Option<U>) -> Option<U> {
    let [first, installed] = slots;
    match Registry::mode() {
        Mode::Process(false) => get(first),
        Mode::Process(true) => get(installed),
        Mode::Scoped => None,
    }
}

/// The path of the function that this closure is written in.
pub fn path_here<F>(_: &F) -> String {
    std::any::type_name::<F>().trim_end_matches("::{{closure}}").to_owned()
}

/// The path of the function of this name that stands beside `T`.
#[must_use]
pub fn path_beside<T>(name: &str) -> String {
    let path = std::any::type_name::<T>();
    let around = path.rsplit_once("::").map_or(path, |(around, _)| around);
    format!("{around}::{name}")
}

/// The cache of the instance that `build` stands for, in the registry that a call made now belongs to.
fn instance<K, V, F>(build: F) -> (Mode, Cache<K, V>)
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    F: Fn() -> Builder<K, V> + 'static,
{
    let mode = Registry::mode();
    let registry = match mode {
        Mode::Process(installed) => Arc::clone(Registry::process(installed)),
        Mode::Scoped => Registry::current(),
    };
    let cache = registry.site(TypeId::of::<F>(), || {
        let builder = || {
            let mut builder = build();
            builder.registry = Some(Arc::clone(&registry));
            builder
        };
        builder().build().unwrap_or_else(|error| {
            // The function works without its cache; whoever reads the log learns why it is slow.
            tracing::error!(%error, "an annotated function has a bad option: it runs uncached");
            let nothing = Builder::new(builder().into_name()).single_flight(SingleFlight::Off).store_if(|_| false);
            nothing.build().expect("these options are right")
        })
    });
    (mode, Cache::clone(&cache))
}
