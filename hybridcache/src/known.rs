//! What is known by its name, for as long as somebody else holds it.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// Caches, as `T`s, and some that are gone.
pub(crate) struct Known<N, T: ?Sized> {
    /// Several of one name are one function in several instances, or two functions that were given one name.
    pub(crate) by_name: HashMap<N, Vec<Weak<T>>>,
    /// How many may be added before those that are gone are forgotten: each holds its memory until then.
    until_sweep: usize,
}

impl<N, T: ?Sized> Default for Known<N, T> {
    fn default() -> Self {
        Self { by_name: HashMap::new(), until_sweep: 0 }
    }
}

impl<N: Eq + Hash, T: ?Sized> Known<N, T> {
    pub(crate) fn add(&mut self, name: N, cache: Weak<T>) {
        if self.until_sweep == 0 {
            self.by_name.retain(|_, caches| {
                caches.retain(|cache| cache.strong_count() > 0);
                !caches.is_empty()
            });
            // As many as there are: so each that is added pays for a look at two.
            self.until_sweep = self.by_name.values().map(Vec::len).sum::<usize>().max(64);
        }
        self.until_sweep -= 1;
        self.by_name.entry(name).or_default().push(cache);
    }

    /// The living ones of this name, the newest last.
    pub(crate) fn named<Q: Eq + Hash + ?Sized>(&self, name: &Q) -> impl Iterator<Item = Arc<T>>
    where
        N: Borrow<Q>,
    {
        self.by_name.get(name).into_iter().flatten().filter_map(Weak::upgrade)
    }
}
