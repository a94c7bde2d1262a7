//! What the memory tier keeps for a key.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

impl<V> From<Option<V>> for Kept<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Nothing, Self::Value)
    }
}

/// A look at what may be kept, before it is known whether it will be: a value too heavy to keep is never cloned.
#[derive(Debug)]
pub(crate) enum View<'v, V> {
    Value(&'v V),
    Nothing,
    Failed,
}

impl<V> Clone for View<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for View<'_, V> {}

impl<'v, V> From<Option<&'v V>> for View<'v, V> {
    fn from(value: Option<&'v V>) -> Self {
        value.map_or(Self::Nothing, Self::Value)
    }
}

impl<'v, V, E> From<&'v Result<Option<V>, E>> for View<'v, V> {
    fn from(parts: &'v Result<Option<V>, E>) -> Self {
        parts.as_ref().map_or(Self::Failed, |value| value.as_ref().into())
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

/// How long something is to be kept, and what it weighs.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Dead from here on; [`NEVER`] if it does not expire.
    pub(crate) deadline: u64,
    /// The parts of a lifetime that change while the entry lives. Boxed, because few have any and all are handed on several
    /// times before they are kept.
    pub(crate) moving: Option<Box<Movement>>,
    /// The cache's generation when the load began. `clear` starts a new one, and every hit compares.
    pub(crate) generation: u32,
    pub(crate) weight: u32,
}

impl Terms {
    /// When the entry is dead, unless a hit renews it.
    pub(crate) fn dies_at(&self) -> u64 {
        self.moving.as_ref().map_or(self.deadline, |moving| self.deadline.min(moving.idle_deadline))
    }
}

/// Something to be kept, on its terms.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub(crate) kept: Kept<V>,
    pub(crate) terms: Terms,
}

/// How a lifetime moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Movement {
    /// How far a hit renews it; 0 if it does not slide.
    pub(crate) idle: u64,
    /// Unless renewed by a hit, the entry is dead from here on.
    pub(crate) idle_deadline: u64,
    /// A background reload is due from here on; [`NEVER`] if it is not refreshed ahead.
    pub(crate) refresh_at: u64,
    /// Of a sliding entry that a remote tier has too; hits of others renew it here.
    pub(crate) renewal: Option<Renewal>,
}

/// What is renewed in the remote tier, and from when on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renewal {
    pub(crate) version: u128,
    pub(crate) at: u64,
}

/// What few entries have: a lifetime that moves, or an error for a value.
#[derive(Debug)]
pub(crate) struct Side {
    /// Dead from here on, however it moves.
    deadline: u64,
    idle_deadline: AtomicU64,
    idle: u64,
    /// [`NEVER`] also once somebody has taken the reload on.
    refresh_at: AtomicU64,
    beside: Option<Box<Beside>>,
}

/// What fewer still have. Apart, so that what slides in memory alone is a cache line.
#[derive(Debug)]
enum Beside {
    Failure(Failure),
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "a remote tier is renewed by it"))]
    Renewal {
        version: u128,
        at: AtomicU64,
    },
}

impl Side {
    pub(crate) fn new(deadline: u64, moving: Option<&Movement>, failure: Option<Failure>) -> Self {
        let still = Movement { idle: 0, idle_deadline: NEVER, refresh_at: NEVER, renewal: None };
        let Movement { idle, idle_deadline, refresh_at, renewal } = *moving.unwrap_or(&still);
        let renewal = renewal.map(|Renewal { version, at }| Beside::Renewal { version, at: AtomicU64::new(at) });
        Self {
            deadline,
            idle_deadline: AtomicU64::new(idle_deadline),
            idle,
            refresh_at: AtomicU64::new(refresh_at),
            // An error is not in the remote tier.
            beside: failure.map(Beside::Failure).or(renewal).map(Box::new),
        }
    }

    #[inline]
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self.beside.as_deref()? {
            Beside::Failure(failure) => Some(failure),
            Beside::Renewal { .. } => None,
        }
    }

    /// When the entry is dead, as things stand.
    pub(crate) fn dies_at(&self) -> u64 {
        self.deadline.min(self.idle_deadline.load(Ordering::Relaxed))
    }

    /// Whether the entry is alive; if it is, a hit renews it.
    #[inline]
    pub(crate) fn is_live_and_renewed(&self, now: u64) -> bool {
        let live = now < self.dies_at();
        if live && self.idle != 0 {
            // If the clock went backwards, this is still no more than `idle` after its own present.
            self.idle_deadline.store(now.saturating_add(self.idle), Ordering::Relaxed);
        }
        live
    }

    /// Whether the caller is the one to reload this entry now.
    pub(crate) fn take_refresh(&self, now: u64) -> bool {
        take(&self.refresh_at, now)
    }

    /// What the caller is to have renewed in the remote tier now, if it is the one to.
    #[cfg(feature = "redis")]
    pub(crate) fn take_renewal(&self, now: u64) -> Option<u128> {
        match self.beside.as_deref()? {
            Beside::Renewal { version, at } => take(at, now).then_some(*version),
            Beside::Failure(_) => None,
        }
    }

    /// The remote tier renewed it, which says how long it lives now and from when on it is renewed again.
    #[cfg(feature = "redis")]
    pub(crate) fn renewed(&self, moving: &Movement) {
        self.idle_deadline.store(moving.idle_deadline, Ordering::Relaxed);
        if let (Some(Beside::Renewal { at, .. }), Some(renewal)) = (self.beside.as_deref(), moving.renewal) {
            at.store(renewal.at, Ordering::Relaxed);
        }
    }

    /// The reload failed, or never ran: the next is due after half of what is left of the life.
    pub(crate) fn refresh_later(&self, now: u64) {
        let at = now.saturating_add(self.dies_at().saturating_sub(now) / 2);
        self.refresh_at.store(at, Ordering::Relaxed);
    }
}

/// Whether it is time, and nobody was told so before.
fn take(at: &AtomicU64, now: u64) -> bool {
    now >= at.load(Ordering::Relaxed) && at.swap(NEVER, Ordering::Relaxed) != NEVER
}
