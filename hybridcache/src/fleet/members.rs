//! The caches of this process that take part.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::bus::NamedKey;
use crate::coherence::deferred::{EVERY_CACHE, Text};
use crate::key::text::{Place, versions_to_evict};
use crate::known::Known;
use crate::rt;

/// A cache, as its fleet knows it.
pub(crate) trait Member: Send + Sync + 'static {
    /// What it is called in the remote tier and on the bus.
    fn name(&self) -> Arc<str>;
    /// The version of its values' shape.
    fn version(&self) -> u32;
    /// For how long after an eviction a key of it is not to be filled; zero if it may be at once.
    fn settle(&self) -> Duration;
    /// What a key's text stands for. User code runs; nothing is removed yet.
    fn doom(self: Arc<Self>, text: &str) -> Box<dyn Doomed>;
    /// Whatever is in memory is dead from here on, and no load that is under way may fill. Runs no user code.
    fn raise_floor(&self);
    /// Takes out whatever is in memory. Runs no user code; what it returns does, and lets go of that. `None` if there was nothing.
    fn empty(self: Arc<Self>) -> Option<Box<dyn FnOnce() + Send>>;
    /// How many hits it had: they keep its process in step.
    fn hits(&self) -> u64;
    /// It is held here no longer. If nobody else holds it, what is in it is dropped where that holds up nobody.
    fn leave(self: Arc<Self>);
}

/// A cache that something is done with, perhaps on the thread of connections, or while a lock is held. Whoever built it may be gone
/// when that is done: what is in it is the user's, and its `Drop` may wait for either.
pub(crate) struct Held<M: Member + ?Sized>(Option<Arc<M>>);

impl<M: Member + ?Sized> Held<M> {
    pub(crate) fn new(member: Arc<M>) -> Self {
        Self(Some(member))
    }
}

impl<M: Member + ?Sized> Deref for Held<M> {
    type Target = Arc<M>;

    fn deref(&self) -> &Arc<M> {
        self.0.as_ref().expect("it is held until this is dropped")
    }
}

impl<M: Member + ?Sized> Drop for Held<M> {
    fn drop(&mut self) {
        if let Some(member) = self.0.take() {
            member.leave();
        }
    }
}

/// A key that an invalidation removes. What it was is dropped with it, where no lock is held.
pub(crate) trait Doomed: Send {
    /// Removes the entry and detaches its flight. Runs no user code but `Eq` of keys.
    fn kill(&mut self);
    /// Whether something was removed, that is dropped with this.
    fn has_removed(&self) -> bool;
}

/// All that an invalidation removes. It is dropped, and listeners are told, on another thread than that of the connections: a listener
/// that waits for one of them would wait for ever. Each by itself: of two that panic together the second ends the process. Most nodes
/// have nothing of most keys, and wake nobody.
#[derive(Default)]
pub(super) struct AllDoomed(pub(super) Vec<Box<dyn Doomed>>);

impl Drop for AllDoomed {
    fn drop(&mut self) {
        let mut doomed = std::mem::take(&mut self.0);
        doomed.retain(|doomed| doomed.has_removed());
        if !doomed.is_empty() {
            rt::aside(move || {
                for doomed in doomed {
                    rt::guarded("drop of a value", || drop(doomed));
                }
            });
        }
    }
}

/// By name; several of one name are one function in several instances, or in several versions.
#[derive(Default)]
pub(super) struct Members(RwLock<Known<Arc<str>, dyn Member>>);

impl Members {
    pub(super) fn add(&self, member: &Arc<impl Member>) {
        self.0.write().add(member.name(), Arc::downgrade(member) as _);
    }

    /// Whether several caches here have this name.
    pub(super) fn are_several(&self, name: &str) -> bool {
        let members = self.0.read();
        let of_name = members.by_name.get(name).into_iter().flatten();
        of_name.filter(|member| member.strong_count() > 0).count() > 1
    }

    /// The name as a cache here has it, so that one that is heard often is not copied.
    pub(super) fn name(&self, name: &str) -> Arc<str> {
        self.0.read().by_name.get_key_value(name).map_or_else(|| Arc::from(name), |(known, _)| Arc::clone(known))
    }

    pub(super) fn text(&self, key: NamedKey<'_>) -> Text {
        Text { cache: self.name(key.name), key: Arc::from(key.text.as_bytes()) }
    }

    pub(super) fn doomed(&self, text: &Text) -> Vec<Box<dyn Doomed>> {
        let Ok(key) = str::from_utf8(&text.key) else { return Vec::new() };
        self.named(&text.cache).iter().map(|member| Arc::clone(member).doom(key)).collect()
    }

    pub(super) fn raise_floor(&self) {
        self.all().iter().for_each(|member| member.raise_floor());
    }

    pub(super) fn raise_floor_of(&self, name: &str) {
        self.named(name).iter().for_each(|member| member.raise_floor());
    }

    /// Gives back what caches of this name hold, or all of them: they were cleared, and it is dead.
    pub(super) fn empty(&self, name: &str) {
        let members = if *name == *EVERY_CACHE { self.all() } else { self.named(name) };
        let emptied: Vec<_> = members.iter().filter_map(|member| Arc::clone(member).empty()).collect();
        if !emptied.is_empty() {
            rt::aside(move || emptied.into_iter().for_each(|let_go| let_go()));
        }
    }

    pub(super) fn hits(&self) -> u64 {
        self.all().iter().map(|member| member.hits()).fold(0, u64::wrapping_add)
    }

    /// The keys of the remote tier that stand for a key; `None` if no cache of this name is here, so that its version is not known.
    pub(super) fn remote_keys(&self, namespace: &str, text: &Text) -> Option<Vec<Vec<u8>>> {
        let key = str::from_utf8(&text.key).ok()?;
        let mut versions: Vec<u32> =
            self.named(&text.cache).iter().flat_map(|member| versions_to_evict(member.version())).collect();
        versions.sort_unstable();
        versions.dedup();
        let place = Place::new(namespace, &text.cache, 0);
        let keys: Vec<_> = versions.into_iter().map(|version| place.key_of(version, key)).collect();
        (!keys.is_empty()).then_some(keys)
    }

    /// For how long keys of this name settle: as long as any cache here wants it.
    pub(super) fn settle(&self, name: &str) -> Duration {
        self.named(name).iter().map(|member| member.settle()).max().unwrap_or_default()
    }

    fn named(&self, name: &str) -> Vec<Held<dyn Member>> {
        self.0.read().named(name).map(Held::new).collect()
    }

    fn all(&self) -> Vec<Held<dyn Member>> {
        let members = self.0.read();
        members.by_name.values().flatten().filter_map(|member| member.upgrade().map(Held::new)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    struct Cache(Arc<str>);

    impl Member for Cache {
        fn name(&self) -> Arc<str> {
            Arc::clone(&self.0)
        }

        fn version(&self) -> u32 {
            1
        }

        fn settle(&self) -> Duration {
            Duration::ZERO
        }

        fn doom(self: Arc<Self>, _: &str) -> Box<dyn Doomed> {
            unreachable!("nothing is evicted here")
        }

        fn raise_floor(&self) {}

        fn empty(self: Arc<Self>) -> Option<Box<dyn FnOnce() + Send>> {
            unreachable!("nothing is cleared here")
        }

        fn hits(&self) -> u64 {
            1
        }

        fn leave(self: Arc<Self>) {}
    }

    /// A key of which this much was removed.
    struct Grave(bool, mpsc::Sender<thread::ThreadId>);

    impl Doomed for Grave {
        fn kill(&mut self) {
            unreachable!("it is dead")
        }

        fn has_removed(&self) -> bool {
            self.0
        }
    }

    impl Drop for Grave {
        fn drop(&mut self) {
            self.1.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn what_is_removed_is_dropped_where_it_holds_up_nobody() {
        let (dropped, on) = mpsc::channel();
        drop(AllDoomed(vec![Box::new(Grave(true, dropped.clone())), Box::new(Grave(false, dropped))]));
        let (here, threads) = (thread::current().id(), [on.recv().unwrap(), on.recv().unwrap()]);
        assert_eq!(threads.map(|thread| thread == here), [true, false], "what nothing was removed of wakes nobody");
    }

    #[test]
    fn caches_that_are_gone_are_forgotten() {
        let members = Members::default();
        let build = |tenant: u64| {
            let cache = Arc::new(Cache(format!("tenant-{tenant}").into()));
            members.add(&cache);
            cache
        };
        let kept: Vec<_> = (0..100).map(build).collect();
        (100..10_000).for_each(|tenant| drop(build(tenant)));
        let known = members.0.read().by_name.len();
        assert!((100..=300).contains(&known), "{known}");
        assert_eq!(members.hits(), kept.len() as u64);
        assert!(!members.are_several("tenant-7"));
        let _again = build(7);
        assert!(members.are_several("tenant-7"));
    }
}
