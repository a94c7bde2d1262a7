//! What a cache is told about its remote tier.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Builder, SingleFlight};
use crate::cache::registry::Registry;
use crate::cache::remote::Remote as Joined;
use crate::codec::wire::{DEFAULT_MAX_BYTES, Wire};
use crate::codec::{Codec, Compression};
use crate::error::Error;
use crate::key::text::Spelling;

const LEASE: Duration = Duration::from_secs(5);
/// A lease is renewed at a third of its life, and those that are due are looked for every 50 ms.
const SHORTEST_LEASE: Duration = Duration::from_millis(150);
const DEGRADED_TTL: Duration = Duration::from_secs(1);
/// By how many times its lifetime an entry that slides may be prolonged, unless `max_age` says otherwise.
const SLIDES: u32 = 10;
/// A message of the bus has a name for each of its keys, and room for 64 KiB in all.
const LONGEST_NAME: usize = 1 << 10;
/// The remote tier counts in milliseconds.
const SHORTEST: Duration = Duration::from_millis(1);

/// How old an answer of a `hybrid` cache may be, after an evict in another process.
///
/// The mode is about the memory tier. In every mode, what the remote tier holds is never older than the last evict that was executed
/// there, and in the process that evicts nobody gets the old value once `evict` has returned.
///
#[doc = include_str!("../../../docs/consistency.md")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Consistency {
    /// Evicts of other processes are heard, normally within a millisecond, and nothing is promised about those that are
    /// missed: while the remote tier cannot be reached, memory goes on answering for
    /// [`max_disconnected`](Builder::max_disconnected). A hit in memory costs no round trip and depends on no heartbeat.
    Eventual,
    /// No answer is older than the manager's `staleness_bound` (2 s by default), whatever is lost, delayed
    /// or stopped: a process that cannot be sure of that asks the remote tier. A hit in memory costs no round trip; the
    /// heartbeat in the background costs one every `heartbeat`.
    #[default]
    Bounded,
    /// No answer is older than the last evict that was acknowledged to anybody: nothing is kept in memory, and each read
    /// costs the round trip of a hit in the remote tier. Needs a manager with a remote tier.
    Strict,
}

/// What a verb returns if the remote tier does not acknowledge its evict or put.
///
/// Either way the key is gone from this process at once, and its evict is queued and sent when the remote tier is back. The queue
/// is lost if the process dies. The value of a put is kept nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnOutage {
    /// It succeeds: `evict`, `evict_many` and `clear` with [`Evicted::Deferred`](crate::Evicted::Deferred), `insert` and `put` as usual.
    #[default]
    Queue,
    /// It returns an error. An annotated writer reports it in the log.
    Fail,
}

/// The settings of a cache's remote tier, complete and checked.
pub(crate) struct RemoteOptions<K, V> {
    /// Whether the cache answers from memory as well.
    pub(crate) hybrid: bool,
    /// Whether entries slide.
    pub(crate) slides: bool,
    pub(crate) wire: Wire<V>,
    pub(crate) spelling: Spelling<K>,
    pub(crate) consistency: Consistency,
    /// Whether one load at a time runs in all processes together, and the others wait for it.
    pub(crate) fleet: bool,
    pub(crate) lease: Duration,
    pub(crate) settle: Duration,
    pub(crate) degraded_ttl: Duration,
    /// Of `eventual` alone; without it an entry's own lifetime is the limit.
    pub(crate) max_disconnected: Option<Duration>,
    pub(crate) on_outage: OnOutage,
}

/// What the builder was told so far.
pub(super) struct Remote<K, V> {
    tier: Option<Tier<K, V>>,
    compress: Option<Compression>,
    consistency: Option<Consistency>,
    lease: Option<Duration>,
    settle: Option<Duration>,
    degraded_ttl: Option<Duration>,
    max_disconnected: Option<Duration>,
    on_outage: Option<OnOutage>,
    max_value_bytes: Option<u64>,
}

/// A remote tier that was asked for. The codec's type ends here: what it is compressed with is not known yet.
struct Tier<K, V> {
    hybrid: bool,
    wire: MakeWire<V>,
    spelling: Spelling<K>,
}

/// Takes the schema version, the compression and the most that a value may be.
type MakeWire<V> = Box<dyn FnOnce(u32, Option<Compression>, usize) -> Wire<V> + Send + Sync>;

impl<K, V> Default for Remote<K, V> {
    fn default() -> Self {
        Self {
            tier: None,
            compress: None,
            consistency: None,
            lease: None,
            settle: None,
            degraded_ttl: None,
            max_disconnected: None,
            on_outage: None,
            max_value_bytes: None,
        }
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
impl<K, V> Builder<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps entries in memory and in the remote tier of the manager, encoded by `codec`.
    ///
    /// A hit in memory costs no round trip, a hit in the remote tier one, a miss two. Needs a lifetime: [`ttl`](Self::ttl),
    /// [`sliding`](Self::sliding), or [`forever`](Self::forever). Without a manager that has a remote tier the cache works
    /// in memory, and says so once in the log.
    ///
    /// The key is spelled as JSON. A key whose text does not decode back to an equal key is kept in no tier, and counted. Equal
    /// keys have to be spelled alike, just as they have to hash alike: otherwise an evict of one leaves in the remote tier what was kept
    /// under the other text. So a `PathBuf` cannot be a key as it is (`a//b` equals `a/b`), nor can a decimal that keeps its scale or a
    /// time that keeps its zone. A key whose text is longer than 256 bytes travels as a hash, and its evict makes other processes drop
    /// everything they have of the cache from their memory. The name of the cache is part of every key there: it has 1 to 1 024 bytes
    /// and is not `*`.
    pub fn hybrid<C: Codec<V>>(self, codec: C) -> Self
    where
        K: Serialize + DeserializeOwned,
    {
        self.remote(codec, true)
    }

    /// Keeps entries in the remote tier of the manager only, encoded by `codec`: for what would be too much for the memory of
    /// each process. A hit costs one round trip, a miss two. Otherwise like [`hybrid`](Self::hybrid), but options that concern memory
    /// alone, such as [`capacity`](Self::capacity), are refused.
    pub fn redis<C: Codec<V>>(self, codec: C) -> Self
    where
        K: Serialize + DeserializeOwned,
    {
        self.remote(codec, false)
    }

    fn remote<C: Codec<V>>(mut self, codec: C, hybrid: bool) -> Self
    where
        K: Serialize + DeserializeOwned,
    {
        let wire = Box::new(|schema: u32, compress: Option<Compression>, max_bytes: usize| {
            Wire::new(codec, schema, compress.unwrap_or_default(), max_bytes)
        });
        self.remote.tier = Some(Tier { hybrid, wire, spelling: Spelling::new() });
        self
    }

    /// Compresses encoded values above the threshold of `compression`, and keeps the result only where it is smaller. Default:
    /// off. Costs processor time, no round trip. Readers need not be told, since each value says how it was compressed; but without
    /// the feature in their build the value is a miss.
    pub fn compress(mut self, compression: Compression) -> Self {
        self.remote.compress = Some(compression);
        self
    }

    /// How old an answer may be after an evict elsewhere. Default: [`Consistency::Bounded`].
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.remote.consistency = Some(consistency);
        self
    }

    /// If nothing is heard of a load for this long, another process may load the same key. So this is what a process that dies during
    /// a load costs those who wait for it. A load that takes longer renews its lease while it runs. Default: 5 s; at least 150
    /// ms. Correctness does not depend on it: only the newest lease can fill.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.remote.lease = Some(lease);
        self
    }

    /// For this long after an evict the key is loaded but not kept, in any tier or process. Set it to at least the lag of
    /// the replica that loaders read from: otherwise one that reads the old row just after the evict would keep it. An evict that
    /// was queued counts from when it is sent; a `clear` does not settle. Default: 0.
    pub fn settle(mut self, lag: Duration) -> Self {
        self.remote.settle = Some(lag);
        self
    }

    /// How long memory keeps what is loaded while the remote tier cannot be reached and no evict can be heard.
    /// Counted from the start of the load. Default: 1 s.
    pub fn degraded_ttl(mut self, ttl: Duration) -> Self {
        self.remote.degraded_ttl = Some(ttl);
        self
    }

    /// With [`Consistency::Eventual`], how long memory answers without word from the remote tier. Default: until the entry
    /// ends.
    pub fn max_disconnected(mut self, longest: Duration) -> Self {
        self.remote.max_disconnected = Some(longest);
        self
    }

    /// What a verb returns if the remote tier does not acknowledge its evict or put. Default: [`OnOutage::Queue`].
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.remote.on_outage = Some(on_outage);
        self
    }

    /// An encoded value larger than this is returned, kept in memory alone, and counted. One found in the remote tier is a
    /// miss; no memory is allocated for it. In bytes before compression. Default: 8 MiB.
    pub fn max_value_bytes(mut self, bytes: u64) -> Self {
        self.remote.max_value_bytes = Some(bytes);
        self
    }

    /// The most that a remote entry can slide to, where nobody said: what is asked for often would live for ever there.
    pub(super) fn cap_of_remote(&self) -> Option<Duration> {
        let said = self.max_age.is_some() || self.ttl.is_some() || self.forever;
        let uncapped = self.sliding.filter(|_| self.remote.tier.is_some() && !said);
        uncapped.map(|idle| idle.saturating_mul(SLIDES))
    }

    pub(super) fn check_remote(&self) -> Result<(), Error> {
        let refuse = |option, reason: &str| Err(Error::option(&self.name, option, reason));
        let Some(tier) = &self.remote.tier else {
            let fleet = self.single_flight == SingleFlight::Fleet;
            let told = [
                ("compress", self.remote.compress.is_some()),
                ("consistency", self.remote.consistency.is_some()),
                ("single_flight", fleet),
                ("lease", self.remote.lease.is_some()),
                ("settle", self.remote.settle.is_some()),
                ("degraded_ttl", self.remote.degraded_ttl.is_some()),
                ("max_disconnected", self.remote.max_disconnected.is_some()),
                ("on_outage", self.remote.on_outage.is_some()),
                ("max_value_bytes", self.remote.max_value_bytes.is_some()),
            ];
            return match told.into_iter().find(|(_, told)| *told) {
                Some((option, _)) => refuse(option, "is about a remote tier: add `hybrid(codec)` or `redis(codec)`"),
                None => Ok(()),
            };
        };
        if !self.clock.is_real() {
            return refuse(
                "clock",
                "is for memory alone: what other processes may have changed is told by the kernel's clock",
            );
        }
        // `*` stands for every cache of the namespace.
        if self.name.is_empty() || self.name == "*" {
            return refuse("name", "is part of each key in the remote tier: it is neither empty nor `*`");
        }
        if self.name.len() > LONGEST_NAME {
            return refuse("name", "is part of each key in the remote tier, and of each message: at most 1 KiB");
        }
        if self.ttl.is_none() && self.sliding.is_none() && !self.forever {
            return refuse(
                "ttl",
                "a remote tier keeps entries when this process is gone: say how long with `ttl`, or `forever()`",
            );
        }
        let lifetimes = [
            ("ttl", self.ttl),
            ("sliding", self.sliding),
            ("max_age", self.max_age),
            ("none_ttl", self.none_ttl),
            ("degraded_ttl", self.remote.degraded_ttl),
            ("max_disconnected", self.remote.max_disconnected),
            ("settle", self.remote.settle.filter(|settle| !settle.is_zero())),
        ];
        if let Some((option, _)) = lifetimes.into_iter().find(|(_, life)| life.is_some_and(|life| life < SHORTEST)) {
            return refuse(option, "a remote tier counts in milliseconds: at least 1 ms");
        }
        if self.remote.lease.is_some_and(|lease| lease < SHORTEST_LEASE) {
            return refuse("lease", "is renewed while a load runs, which needs some time: at least 150 ms");
        }
        if self.remote.max_value_bytes == Some(0) {
            return refuse("max_value_bytes", "zero would keep nothing");
        }
        if !tier.hybrid
            && let Some(option) = self.said_of_memory()
        {
            return refuse(option, "is about memory, and `redis` keeps nothing there: use `hybrid`, or leave it out");
        }
        if self.remote.max_disconnected.is_some() && self.remote.consistency != Some(Consistency::Eventual) {
            return refuse(
                "max_disconnected",
                "is for `Consistency::Eventual`: the others bound by themselves what memory answers",
            );
        }
        Ok(())
    }

    /// An option that was set and concerns memory alone.
    fn said_of_memory(&self) -> Option<&'static str> {
        let said = [
            ("capacity", self.capacity.is_some()),
            ("max_weight", self.max_weight.is_some()),
            ("max_entry_weight", self.max_entry_weight.is_some()),
            ("weigher", self.weigher.is_some()),
            ("policy", self.policy.is_some()),
            ("on_eviction", self.listener.is_some()),
            ("sweep_interval", self.sweep_interval.is_some()),
            ("refresh_ahead", self.refresh_ahead.is_some()),
            ("degraded_ttl", self.remote.degraded_ttl.is_some()),
            ("max_disconnected", self.remote.max_disconnected.is_some()),
        ];
        said.into_iter().find_map(|(option, said)| said.then_some(option))
    }
}

impl<K, V> Remote<K, V> {
    /// The remote tier of a cache, in the fleet of its manager. Without one the cache works in memory, unless it asks for what memory
    /// cannot give.
    pub(super) fn join(
        self,
        name: &str,
        version: u32,
        single_flight: SingleFlight,
        slides: bool,
        registry: &Registry,
    ) -> Result<Option<Joined<K, V>>, Error> {
        let Some(options) = self.resolve(version, single_flight, slides) else { return Ok(None) };
        let refuse = |option, reason: &str| Err(Error::option(name, option, reason));
        let Some(fleet) = registry.fleet() else {
            if registry.requires_remote() {
                return refuse("tier", "the manager requires a remote tier and has none: give it a `redis(url)`");
            }
            if options.consistency == Consistency::Strict {
                return refuse(
                    "consistency",
                    "`strict` needs a manager with a remote tier: `CacheManager::builder().redis(url)`",
                );
            }
            if options.fleet {
                return refuse(
                    "single_flight",
                    "`fleet` needs a manager with a remote tier: `CacheManager::builder().redis(url)`",
                );
            }
            tracing::warn!(
                cache = name,
                "no manager with a remote tier is installed: this cache works in memory alone"
            );
            return Ok(None);
        };
        Ok(Some(Joined::new(Arc::clone(fleet), options, name, version)))
    }

    /// What was checked, complete.
    fn resolve(self, version: u32, single_flight: SingleFlight, slides: bool) -> Option<RemoteOptions<K, V>> {
        let Tier { hybrid, wire, spelling } = self.tier?;
        // What does not fit into the address space is no limit there.
        let max_bytes = self.max_value_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Some(RemoteOptions {
            hybrid,
            slides,
            wire: wire(version, self.compress, max_bytes.unwrap_or(DEFAULT_MAX_BYTES)),
            spelling,
            consistency: self.consistency.unwrap_or_default(),
            fleet: single_flight == SingleFlight::Fleet,
            lease: self.lease.unwrap_or(LEASE),
            settle: self.settle.unwrap_or_default(),
            degraded_ttl: self.degraded_ttl.unwrap_or(DEGRADED_TTL),
            max_disconnected: self.max_disconnected,
            on_outage: self.on_outage.unwrap_or_default(),
        })
    }
}
