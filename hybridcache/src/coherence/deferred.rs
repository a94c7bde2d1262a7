//! Invalidations that are owed to the fleet: those that could not be sent, and those that a failover lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The name that stands for every cache of the namespace.
pub(crate) const EVERY_CACHE: &str = "*";

/// How many keys one invalidation names at most, and one script removes, with their neighbouring versions.
pub(crate) const BATCH: usize = 1_000;

/// A key as the bus spells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Text {
    /// The name of its cache.
    pub(crate) cache: Arc<str>,
    /// What follows the name and the version.
    pub(crate) key: Arc<[u8]>,
}

/// What an invalidation removes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Body {
    /// These entries.
    Keys(Arc<[Text]>),
    /// Everything of a cache, or of [`EVERY_CACHE`].
    Clear(Arc<str>),
    /// Everything of the partition: more keys than a message can name.
    Floor,
}

impl Body {
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Keys(keys) => keys.len(),
            Self::Clear(_) | Self::Floor => 1,
        }
    }
}

/// A set of invalidations, one per key, in bounded memory: where there are too many, a cache is cleared instead.
///
/// At most one batch of it is under way. An invalidation that is added while its like is under way stays owed after it: the write
/// it stands for may have come after the one that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Deferred {
    limit: usize,
    caches: BTreeMap<Arc<str>, Owed>,
    /// How many keys are named.
    keys: usize,
    under_way: Option<Body>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owed {
    Keys(BTreeSet<Arc<[u8]>>),
    Everything,
}

impl Deferred {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, caches: BTreeMap::new(), keys: 0, under_way: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.caches.is_empty() && self.under_way.is_none()
    }

    /// How many keys it names, and caches of which everything goes.
    pub(crate) fn len(&self) -> usize {
        let whole = self.caches.values().filter(|owed| matches!(owed, Owed::Everything)).count();
        self.keys + whole + self.under_way.as_ref().map_or(0, Body::weight)
    }

    /// Whether an invalidation of this key is owed, so that what the fleet holds of it may be older than what this node knows.
    pub(crate) fn owes(&self, cache: &str, key: &[u8]) -> bool {
        let waiting = match self.caches.get(cache) {
            Some(Owed::Everything) => true,
            Some(Owed::Keys(keys)) => keys.contains(key),
            None => false,
        };
        let sent = || match &self.under_way {
            Some(Body::Keys(keys)) => keys.iter().any(|text| *text.cache == *cache && *text.key == *key),
            Some(Body::Clear(name)) => **name == *cache || **name == *EVERY_CACHE,
            Some(Body::Floor) => true,
            None => false,
        };
        waiting || self.caches.contains_key(EVERY_CACHE) || sent()
    }

    pub(crate) fn add(&mut self, body: &Body) {
        match body {
            Body::Keys(keys) => keys.iter().for_each(|text| self.add_key(text)),
            Body::Clear(name) => self.clear(Arc::clone(name)),
            // The keys are not known any more.
            Body::Floor => self.clear(EVERY_CACHE.into()),
        }
    }

    fn add_key(&mut self, Text { cache, key }: &Text) {
        if self.caches.contains_key(EVERY_CACHE) {
            return;
        }
        let Owed::Keys(keys) = self.caches.entry(Arc::clone(cache)).or_insert(Owed::Keys(BTreeSet::new())) else {
            return;
        };
        if keys.insert(Arc::clone(key)) {
            self.keys += 1;
            if self.keys > self.limit {
                self.clear(Arc::clone(cache));
            }
        }
    }

    fn clear(&mut self, cache: Arc<str>) {
        if *cache == *EVERY_CACHE {
            self.caches.clear();
            self.keys = 0;
        } else if self.caches.contains_key(EVERY_CACHE) {
            return;
        }
        if let Some(Owed::Keys(keys)) = self.caches.insert(cache, Owed::Everything) {
            self.keys -= keys.len();
        }
    }

    /// Somebody else sent this one.
    pub(crate) fn remove(&mut self, body: &Body) {
        match body {
            Body::Keys(keys) => keys.iter().for_each(|text| self.remove_key(text)),
            Body::Clear(name) if **name == *EVERY_CACHE => (self.caches, self.keys) = (BTreeMap::new(), 0),
            Body::Clear(name) => {
                if let Some(Owed::Keys(keys)) = self.caches.remove(name) {
                    self.keys -= keys.len();
                }
            }
            Body::Floor => {}
        }
    }

    fn remove_key(&mut self, Text { cache, key }: &Text) {
        if let Some(Owed::Keys(keys)) = self.caches.get_mut(cache)
            && keys.remove(key)
        {
            self.keys -= 1;
            if keys.is_empty() {
                self.caches.remove(cache);
            }
        }
    }

    /// Everything, to be added to another set.
    pub(crate) fn drain(&mut self) -> Vec<Body> {
        let mut all = Vec::new();
        while let Some(body) = self.take() {
            self.under_way = None;
            all.push(body);
        }
        all
    }

    /// The next batch to send, if there is one and none is under way; keys of one cache, whose rules they share. It stays owed until
    /// it is [`settle`](Self::settle)d.
    pub(crate) fn take(&mut self) -> Option<Body> {
        if self.under_way.is_some() {
            return None;
        }
        let cleared = self.caches.iter().find(|(_, owed)| matches!(owed, Owed::Everything));
        let body = if let Some((name, _)) = cleared {
            let name = Arc::clone(name);
            self.caches.remove(&name);
            Body::Clear(name)
        } else {
            let Some((cache, Owed::Keys(keys))) = self.caches.first_key_value() else { return None };
            let text = |key: &Arc<[u8]>| Text { cache: Arc::clone(cache), key: Arc::clone(key) };
            let batch: Arc<[Text]> = keys.iter().take(BATCH).map(text).collect();
            batch.iter().for_each(|text| self.remove_key(text));
            Body::Keys(batch)
        };
        self.under_way = Some(body.clone());
        Some(body)
    }

    /// The batch that was under way was acknowledged, or it was not and is owed still.
    pub(crate) fn settle(&mut self, acknowledged: bool) {
        if let Some(body) = self.under_way.take()
            && !acknowledged
        {
            self.add(&body);
        }
    }

    #[cfg(test)]
    pub(crate) fn validate(&self) {
        let named = |owed: &Owed| match owed {
            Owed::Keys(keys) => keys.len(),
            Owed::Everything => 0,
        };
        assert_eq!(self.keys, self.caches.values().map(named).sum::<usize>());
        assert!(self.keys <= self.limit, "bounded");
        assert!(self.caches.len() == 1 || !self.caches.contains_key(EVERY_CACHE), "everything is everything");
    }
}

#[cfg(test)]
mod tests;
