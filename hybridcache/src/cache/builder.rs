//! Building a cache.

#[cfg(feature = "redis")]
mod remote;

use std::borrow::Cow;
use std::hash::Hash;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quick_cache::DefaultHashBuilder;

#[cfg(feature = "redis")]
use super::ELSEWHERE;
use super::record::Recording;
use super::registry::Registry;
use super::rules::{Filter, Rules, Weigher};
use super::shards::Shards;
use super::{Cache, Inner, OTHER_CLOCK};
use crate::error::Error;
use crate::memory::{Bound, Listener, Memory, Policy, Shard};
use crate::observe::{Meter, RemovalReason};
use crate::sync::AtomicU32;
use crate::time::{Clock, NEVER, nanos};
#[cfg(feature = "redis")]
pub(crate) use remote::RemoteOptions;
#[cfg(feature = "redis")]
pub use remote::{Consistency, OnOutage};

/// The number of entries a cache holds by default.
const CAPACITY: u64 = 10_000;
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Who may run the body for one key while another already does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SingleFlight {
    /// One caller in this process; the others wait for it.
    #[default]
    Process,
    /// One caller in all processes that share the remote tier; the others wait for it. A miss that finds another process
    /// loading costs two more round trips, and takes over when the [`lease`](Builder::lease) of that process ends. Needs a remote
    /// tier.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    Fleet,
    /// Everybody.
    Off,
}

/// Options of a [`Cache`], made by [`Cache::builder`]. Each does what the option of the same name does in `#[cached]`.
#[must_use = "a builder does nothing until `build()`"]
pub struct Builder<K, V> {
    name: Cow<'static, str>,
    version: u32,
    ttl: Option<Duration>,
    sliding: Option<Duration>,
    max_age: Option<Duration>,
    forever: bool,
    none_ttl: Option<Duration>,
    err_ttl: Option<Duration>,
    cache_none: bool,
    cache_err: bool,
    capacity: Option<u64>,
    max_weight: Option<u64>,
    max_entry_weight: Option<u64>,
    weigher: Option<Weigher<K, V>>,
    store_if: Option<Filter<V>>,
    listener: Option<Listener<K, V>>,
    jitter: f64,
    refresh_ahead: Option<f64>,
    single_flight: SingleFlight,
    wait_timeout: Duration,
    sweep_interval: Option<Duration>,
    policy: Option<Policy>,
    clock: Clock,
    #[cfg(feature = "redis")]
    remote: remote::Remote<K, V>,
    pub(crate) registry: Option<Arc<Registry>>,
}

impl<K, V> std::fmt::Debug for Builder<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<K, V> Builder<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(name: Cow<'static, str>) -> Self {
        Self {
            name,
            version: 1,
            ttl: None,
            sliding: None,
            max_age: None,
            forever: false,
            none_ttl: None,
            err_ttl: None,
            cache_none: false,
            cache_err: false,
            capacity: None,
            max_weight: None,
            max_entry_weight: None,
            weigher: None,
            store_if: None,
            listener: None,
            jitter: 0.0,
            refresh_ahead: None,
            single_flight: SingleFlight::Process,
            wait_timeout: WAIT_TIMEOUT,
            sweep_interval: None,
            policy: None,
            clock: Clock::kernel(),
            #[cfg(feature = "redis")]
            remote: remote::Remote::default(),
            registry: None,
        }
    }

    /// An entry is served for this long, counted from the start of its load. Default: no end.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// An entry is served for this long after its last hit, within [`ttl`](Self::ttl) and [`max_age`](Self::max_age). With a remote
    /// tier it is at least half as long, since a hit there renews it only once half of its time has passed. Default: off.
    pub fn sliding(mut self, idle: Duration) -> Self {
        self.sliding = Some(idle);
        self
    }

    /// A sliding entry is served for at most this long, counted from the start of its load. Needs [`sliding`](Self::sliding). Default:
    /// no end; with a remote tier and no [`ttl`](Self::ttl), ten times as long as it slides.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Says that entries have no end. In memory that is the default; with a remote tier it has to be said, because what is forgotten
    /// there stays. Not together with [`ttl`](Self::ttl).
    pub fn forever(mut self) -> Self {
        self.forever = true;
        self
    }

    /// How many entries are held. Default: 10 000. Not together with [`max_weight`](Self::max_weight).
    pub fn capacity(mut self, entries: u64) -> Self {
        self.capacity = Some(entries);
        self
    }

    /// How much weight is held, as [`weigher`](Self::weigher) measures it. One entry may have at most a sixteenth of it, unless
    /// [`max_entry_weight`](Self::max_entry_weight) says otherwise. A `None` or an error that is kept weighs 1: where weights are bytes,
    /// only [`none_ttl`](Self::none_ttl) and [`err_ttl`](Self::err_ttl) limit how many of them are held.
    pub fn max_weight(mut self, weight: u64) -> Self {
        self.max_weight = Some(weight);
        self
    }

    /// Measures an entry once, when it is loaded, in the unit of `max_weight`. 0 counts as 1. Runs under no
    /// lock; if it panics, the value is returned but not kept.
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Arc::new(weigher));
        self
    }

    /// A value heavier than this, or than `u32::MAX`, is returned but not kept, and counted as rejected. Default: a sixteenth of
    /// [`max_weight`](Self::max_weight), rounded up. The larger its share of `max_weight`, the fewer the shards, down to a single lock.
    pub fn max_entry_weight(mut self, weight: u64) -> Self {
        self.max_entry_weight = Some(weight);
        self
    }

    /// Which entry makes room for a new one. Default: [`Policy::S3Fifo`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Shortens each lifetime by a random part of up to this share of it (`0.1` is ten per cent), so that what was
    /// loaded together does not expire together. Never lengthens. Default: 0.
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = share;
        self
    }

    /// Keep `None` as an answer. Default: a `None` is loaded again.
    pub fn cache_none(mut self, cache_none: bool) -> Self {
        self.cache_none = cache_none;
        self
    }

    /// Keep errors as answers: those that a [`Share`](crate::Share) can hand out again. Default: an error is loaded
    /// again.
    pub fn cache_err(mut self, cache_err: bool) -> Self {
        self.cache_err = cache_err;
        self
    }

    /// How long a `None` is kept; turns [`cache_none`](Self::cache_none) on. Default: as long as a value.
    pub fn none_ttl(mut self, ttl: Duration) -> Self {
        self.none_ttl = Some(ttl);
        self
    }

    /// How long an error is kept; turns [`cache_err`](Self::cache_err) on. Default: as long as a value.
    pub fn err_ttl(mut self, ttl: Duration) -> Self {
        self.err_ttl = Some(ttl);
        self
    }

    /// Keep only the values for which this is true. If it panics, the value is not kept.
    pub fn store_if(mut self, filter: impl Fn(&V) -> bool + Send + Sync + 'static) -> Self {
        self.store_if = Some(Arc::new(filter));
        self
    }

    /// A hit after this fraction of the ttl (between 0 and 1) reloads the entry in the background, while the caller gets what is
    /// there. This is for annotated functions, whose attribute sets it. A cache that is used by hand, or given to a function by
    /// `cache = …`, has nothing to reload with: see [`Cache::refresh`]. Needs [`ttl`](Self::ttl). Default: off. With a remote tier only
    /// the process that loaded an entry reloads it, while its own memory has it.
    pub fn refresh_ahead(mut self, fraction: f64) -> Self {
        self.refresh_ahead = Some(fraction);
        self
    }

    /// Who may run the body for a key while another does. Default: [`SingleFlight::Process`].
    pub fn single_flight(mut self, single_flight: SingleFlight) -> Self {
        self.single_flight = single_flight;
        self
    }

    /// How long a caller waits for another's load before it runs its own body. Default: 5 s. Zero does not wait.
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = timeout;
        self
    }

    /// How often the memory of expired entries is freed in the background; they are not served in the meantime. Default: 1
    /// s. `Duration::MAX` leaves it to [`Cache::sweep`].
    pub fn sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = Some(interval);
        self
    }

    /// Called with each value that leaves, after it has left, under no lock and on the thread that made it leave. For what a sweep
    /// finds expired, and for what another process evicted or cleared, that is the thread that sweeps all caches: until the listener
    /// returns, none of them gives memory back. A panic in it is reported and goes no further.
    pub fn on_eviction(mut self, listener: impl Fn(&K, &V, RemovalReason) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// The clock that lifetimes are measured by. Default: [`Clock::kernel`]. A cache with a remote tier refuses a test clock, which
    /// other processes would not follow.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The version of the value's shape; part of a cache's identity, beside its name. Default: 1.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Builds the cache and makes it known to the manager.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Option`](crate::ErrorKind::Option), which names the option: a duration, capacity or weight of zero, an
    /// option without the one it needs, two that exclude each other, a fraction out of range.
    /// [`ErrorKind::OtherTypes`](crate::ErrorKind::OtherTypes) for a remote tier in which a cache of this manager has the
    /// same name and version, and other types.
    pub fn build(self) -> Result<Cache<K, V>, Error> {
        self.check()?;
        let max_age = self.cap();
        let Self { name, version, ttl, sliding, none_ttl, err_ttl, cache_none, cache_err, .. } = self;
        let shortest = [ttl, sliding, max_age, none_ttl, err_ttl].into_iter().flatten().min();
        let clock = self.clock.fit_for(shortest.unwrap_or(Duration::MAX));
        let bound = match self.max_weight {
            Some(max) => Bound::Weight { max, max_entry: self.max_entry_weight.unwrap_or(max.div_ceil(16)) },
            None => Bound::Entries(self.capacity.unwrap_or(CAPACITY)),
        };
        let policy = self.policy.unwrap_or(Policy::S3Fifo);
        let sweep_interval = self.sweep_interval.unwrap_or(SWEEP_INTERVAL);
        let life = |duration: Option<Duration>| duration.map_or(NEVER, nanos);
        let value_ttl = life(ttl).min(life(max_age));
        let own_or_value = |own: Option<Duration>| own.map_or(value_ttl.min(life(sliding)), nanos);
        let rules = Rules {
            ttl: value_ttl,
            idle: life(sliding),
            none_ttl: own_or_value(none_ttl),
            err_ttl: own_or_value(err_ttl),
            cache_none: cache_none || none_ttl.is_some(),
            cache_err: cache_err || err_ttl.is_some(),
            jitter: self.jitter,
            is_fixed: self.jitter <= 0.0 && sliding.is_none() && self.refresh_ahead.is_none(),
            refresh_ahead: self.refresh_ahead,
            single_flight: self.single_flight != SingleFlight::Off,
            wait_timeout: self.wait_timeout,
            store_if: self.store_if,
            weigher: self.weigher,
        };
        let registry = self.registry.unwrap_or_else(Registry::current);
        #[cfg(feature = "redis")]
        let remote = self.remote.join(&name, version, self.single_flight, sliding.is_some(), &registry)?;
        let meter = Arc::new(Meter::default());
        let watched = if clock.is_kernel() { 0 } else { OTHER_CLOCK };
        #[cfg(feature = "redis")]
        let watched = if remote.is_some() { watched | ELSEWHERE } else { watched };
        let inner = Arc::new_cyclic(|me| Inner {
            me: Weak::clone(me),
            watched: AtomicU8::new(watched),
            recording: Recording::default(),
            hasher: DefaultHashBuilder::default(),
            sweep_interval,
            lag: clock.lag(),
            generation: AtomicU32::new(0),
            // No coarser than by default: who sweeps by hand, or seldom, wants all gone that is over then.
            shards: Shards::new(Shard::all(policy, bound, nanos(sweep_interval.min(SWEEP_INTERVAL)))),
            memory: Memory::new(bound, self.listener, Arc::clone(&meter)),
            meter,
            rules,
            tasks: Arc::clone(&registry.tasks),
            #[cfg(feature = "redis")]
            remote,
            name: name.into_owned(),
            version,
            clock,
        });
        registry.add(&inner)?;
        #[cfg(feature = "redis")]
        if let Some(remote) = &inner.remote {
            // Whether memory may answer is a question of time, also where no entry ends.
            inner.expect_expiry();
            remote.fleet.join(&inner);
        }
        tracing::debug!(cache = %inner.name, ?bound, "built a cache");
        Ok(Cache { inner })
    }

    /// The most that hits can prolong an entry to.
    fn cap(&self) -> Option<Duration> {
        #[cfg(feature = "redis")]
        if let Some(cap) = self.cap_of_remote() {
            return Some(cap);
        }
        self.max_age
    }

    pub(crate) fn into_name(self) -> Cow<'static, str> {
        self.name
    }

    fn check(&self) -> Result<(), Error> {
        #[cfg(feature = "redis")]
        self.check_remote()?;
        let refuse = |option, reason: &str| Err(Error::option(&self.name, option, reason));
        let durations = [
            ("ttl", self.ttl),
            ("sliding", self.sliding),
            ("max_age", self.max_age),
            ("none_ttl", self.none_ttl),
            ("err_ttl", self.err_ttl),
            ("sweep_interval", self.sweep_interval),
        ];
        for (option, duration) in durations {
            if duration == Some(Duration::ZERO) {
                return refuse(option, "a duration of zero would never hit; leave the option out for no limit");
            }
        }
        for (option, bound) in
            [("capacity", self.capacity), ("max_weight", self.max_weight), ("max_entry_weight", self.max_entry_weight)]
        {
            if bound == Some(0) {
                return refuse(option, "zero would keep nothing");
            }
        }
        if self.capacity.is_some() && self.max_weight.is_some() {
            return refuse("capacity", "a cache is bounded by `capacity` or by `max_weight`, not by both");
        }
        if self.max_weight.is_some() != self.weigher.is_some() {
            return match self.max_weight {
                Some(_) => refuse("max_weight", "needs a `weigher` that says what an entry weighs"),
                None => refuse("weigher", "needs a `max_weight` to compare with"),
            };
        }
        if let Some(max_entry_weight) = self.max_entry_weight {
            match self.max_weight {
                None => return refuse("max_entry_weight", "needs `max_weight`"),
                Some(max_weight) if max_entry_weight > max_weight => {
                    return refuse("max_entry_weight", "is more than `max_weight`");
                }
                Some(_) => {}
            }
        }
        if self.forever && self.ttl.is_some() {
            return refuse("ttl", "entries cannot both end after it and last `forever()`");
        }
        if self.max_age.is_some() && self.sliding.is_none() {
            return refuse("max_age", "caps a sliding lifetime: it needs `sliding`; without, `ttl` is what you mean");
        }
        if !(0.0..1.0).contains(&self.jitter) {
            return refuse("jitter", "is a share of the lifetime: from 0 to below 1");
        }
        match self.refresh_ahead {
            Some(fraction) if !(fraction > 0.0 && fraction < 1.0) => {
                refuse("refresh_ahead", "is a fraction of the ttl: between 0 and 1")
            }
            Some(_) if self.ttl.is_none() => refuse("refresh_ahead", "needs a `ttl` to be a fraction of"),
            _ => Ok(()),
        }
    }
}
