//! What the memory tier keeps for a key.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::time::NEVER;

/// What a load came to, and what a waiter or a later reader is handed.
#[derive(Clone, Debug)]
pub(crate) enum Kept<V> {
    Value(V),
    /// The function returned `None` (or `Ok(None)`).
    Nothing,
    /// The function failed, with an error that can be handed out again.
    Failed(Failure),
}

/// A look at what may be kept, before it is known whether it will be: a value too heavy to keep is never cloned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View<'v, V> {
    Value(&'v V),
    Nothing,
    Failed,
}

impl<'v, V, E> From<&'v Result<Option<V>, E>> for View<'v, V> {
    fn from(parts: &'v Result<Option<V>, E>) -> Self {
        match parts {
            Ok(Some(value)) => Self::Value(value),
            Ok(None) => Self::Nothing,
            Err(_) => Self::Failed,
        }
    }
}

/// An error that several callers get, in a form its [`Share`](crate::Share) can turn back into one.
#[derive(Clone)]
pub(crate) struct Failure(Arc<Box<dyn Any + Send + Sync>>);

impl Failure {
    pub(crate) fn new<T: Any + Send + Sync>(payload: T) -> Self {
        Self(Arc::new(Box::new(payload)))
    }

    pub(crate) fn payload<T: Any>(&self) -> Option<&T> {
        (**self.0).downcast_ref()
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failure")
    }
}

/// How long something is kept, and what it weighs.
///
/// It is kept beside the *key*: a lookup judges it where it finds the key, and an entry that is dead is not found. So a
/// hit clones nothing but the value.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Dead from here on; [`NEVER`] if it does not expire.
    pub(crate) deadline: u64,
    /// The parts of a lifetime that change while the entry lives.
    pub(crate) moving: Option<Arc<Moving>>,
    /// The cache's generation when the load began. `clear` starts a new one, and every hit compares.
    pub(crate) generation: u32,
    pub(crate) weight: u32,
}

/// Something to be kept, on its terms.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub(crate) kept: Kept<V>,
    pub(crate) terms: Terms,
}

/// The moving part of a lifetime.
#[derive(Debug)]
pub(crate) struct Moving {
    /// Unless renewed by a hit, the entry is dead from here on.
    idle_deadline: AtomicU64,
    /// How far a hit renews it; 0 if it does not slide.
    idle: u64,
    /// A background reload is due from here on; [`NEVER`] if it is not refreshed ahead.
    refresh_at: AtomicU64,
    /// Somebody has taken the reload on.
    refreshing: AtomicBool,
    /// The deadline under which the expiry wheel has this entry.
    filed_at: AtomicU64,
}

/// The moving part of a lifetime, and the deadline that does not move.
pub(crate) type Movement = (Arc<Moving>, u64);

impl Moving {
    pub(crate) fn new(idle: u64, idle_deadline: u64, refresh_at: u64) -> Self {
        Self {
            idle_deadline: AtomicU64::new(idle_deadline),
            idle,
            refresh_at: AtomicU64::new(refresh_at),
            refreshing: AtomicBool::new(false),
            filed_at: AtomicU64::new(NEVER),
        }
    }

    #[inline]
    fn is_live_and_renewed(&self, now: u64) -> bool {
        let live = now < self.idle_deadline.load(Ordering::Relaxed);
        if live && self.idle != 0 {
            // If the clock went backwards, this is still no more than `idle` after its own present.
            self.idle_deadline.store(now.saturating_add(self.idle), Ordering::Relaxed);
        }
        live
    }

    /// Whether the caller is the one to reload this entry now.
    pub(crate) fn take_refresh(&self, now: u64) -> bool {
        now >= self.refresh_at.load(Ordering::Relaxed) && !self.refreshing.swap(true, Ordering::Relaxed)
    }

    /// The reload failed: the next may start at `at`.
    pub(crate) fn refresh_again_at(&self, at: u64) {
        self.refresh_at.store(at, Ordering::Relaxed);
        self.refreshing.store(false, Ordering::Relaxed);
    }
}

impl Terms {
    /// When the entry is dead, as things stand.
    pub(crate) fn dies_at(&self) -> u64 {
        match &self.moving {
            Some(moving) => self.deadline.min(moving.idle_deadline.load(Ordering::Relaxed)),
            None => self.deadline,
        }
    }

    /// Notes the deadline under which the expiry wheel files the entry, and returns it.
    pub(crate) fn file(&self) -> u64 {
        let dies_at = self.dies_at();
        if let Some(moving) = &self.moving {
            moving.filed_at.store(dies_at, Ordering::Relaxed);
        }
        dies_at
    }

    /// The deadline under which the expiry wheel has the entry; [`NEVER`] if it has not.
    pub(crate) fn filed_at(&self) -> u64 {
        match &self.moving {
            Some(moving) => moving.filed_at.load(Ordering::Relaxed),
            None => self.deadline,
        }
    }

    /// Whether the entry may be served in this generation, at this time.
    #[inline]
    pub(crate) fn is_live(&self, generation: u32, now: u64) -> bool {
        self.generation == generation && now < self.dies_at()
    }

    /// [`is_live`](Self::is_live) for a hit: a sliding lifetime is renewed.
    #[inline]
    pub(crate) fn is_live_and_renewed(&self, generation: u32, now: u64) -> bool {
        if self.generation != generation || now >= self.deadline {
            return false;
        }
        match &self.moving {
            None => true,
            Some(moving) => moving.is_live_and_renewed(now),
        }
    }
}
