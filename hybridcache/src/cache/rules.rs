//! What a cache was told about what to keep, and for how long.

use std::sync::Arc;
use std::time::Duration;

use crate::entry::{Movement, View};
use crate::rt;
use crate::time::{NEVER, deadline, jittered};

pub(crate) type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;
pub(crate) type Filter<V> = Arc<dyn Fn(&V) -> bool + Send + Sync>;

/// The settings of one cache, resolved: lifetimes in nanoseconds, [`NEVER`] for «does not end».
pub(crate) struct Rules<K, V> {
    pub(crate) ttl: u64,
    pub(crate) idle: u64,
    pub(crate) none_ttl: u64,
    pub(crate) err_ttl: u64,
    pub(crate) cache_none: bool,
    pub(crate) cache_err: bool,
    pub(crate) jitter: f64,
    /// Whether all of an entry's life is known when it begins: there is no jitter, and no part of it moves.
    pub(crate) is_fixed: bool,
    pub(crate) refresh_ahead: Option<f64>,
    pub(crate) single_flight: bool,
    pub(crate) wait_timeout: Duration,
    pub(crate) store_if: Option<Filter<V>>,
    pub(crate) weigher: Option<Weigher<K, V>>,
}

impl<K, V> Rules<K, V> {
    /// Whether `store_if` lets the value in. A filter that panics keeps nothing.
    #[inline(always)]
    pub(crate) fn stores(&self, value: &V) -> bool {
        self.store_if.as_ref().is_none_or(|filter| Self::passes(filter, value))
    }

    #[inline(never)]
    fn passes(filter: &Filter<V>, value: &V) -> bool {
        rt::guarded("store_if", || filter(value)).unwrap_or(false)
    }

    /// Whether no entry ever ends by these rules.
    #[inline]
    pub(crate) fn is_forever(&self) -> bool {
        [self.ttl, self.idle, self.none_ttl, self.err_ttl].iter().all(|&lifetime| lifetime == NEVER)
    }

    /// When something loaded at `start` dies, and what of that moves. `said` is a lifetime its loader chose.
    #[inline]
    pub(crate) fn lifetime(
        &self,
        view: View<'_, V>,
        start: u64,
        lag: u64,
        said: Option<u64>,
    ) -> (u64, Option<Movement>) {
        let lifetime = match view {
            View::Value(_) => said.unwrap_or(self.ttl),
            View::Nothing => self.none_ttl,
            View::Failed => self.err_ttl,
        };
        if self.is_fixed {
            return (deadline(start, lifetime, lag), None);
        }
        let random = if self.jitter > 0.0 { random() } else { 0 };
        let lifetime = jittered(lifetime, self.jitter, random);
        let ends = deadline(start, lifetime, lag);
        let idle = match view {
            View::Value(_) if said.is_none() && self.idle != NEVER => {
                // Of at least a nanosecond: zero would mean that it does not slide.
                jittered(self.idle, self.jitter, random).saturating_sub(lag).max(1)
            }
            _ => 0,
        };
        let refresh_at = match self.refresh_ahead {
            Some(share) if lifetime != NEVER => start.saturating_add((lifetime as f64 * share) as u64),
            _ => NEVER,
        };
        if idle == 0 && refresh_at == NEVER {
            return (ends, None);
        }
        let idle_deadline = if idle == 0 { NEVER } else { start.saturating_add(idle) };
        (ends, Some(Movement { idle, idle_deadline, refresh_at, renewal: None }))
    }
}

/// Random enough to spread deadlines: the standard library's seeded hasher over a counter.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    SEED.hash_one(NEXT.fetch_add(1, Ordering::Relaxed))
}
