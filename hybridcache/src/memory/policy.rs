//! Which entry makes room for a new one.

use std::fmt;
use std::str::FromStr;

/// Which entry makes room for a new one.
///
/// | policy | who leaves | good for | a hit | source |
/// |---|---|---|---|---|
/// | `s3fifo` (default) | what was not used again soon after it came | nearly everything: scans pass through, what comes back is known | read lock, counter | Yang et al., *FIFO queues are all you need for cache eviction*, SOSP 2023; in [quick_cache](https://docs.rs/quick_cache)'s form, close to Jiang, Chen, Zhang, *CLOCK-Pro*, USENIX ATC 2005 |
/// | `lru` | what was not used for longest | sessions and other recency; scans empty it | read lock, note | Mattson et al., IBM Systems Journal 9(2), 1970 |
/// | `lfu` | what is used least, of those the least recent; old fame fades | a popularity that changes slowly | read lock, note | LFU-DA: Arlitt et al., SIGMETRICS PER 27(4), 2000; lists as in Shah, Mitra, Matani, 2010 |
/// | `fifo` | what has been there longest | streams in which age is all that counts | read lock, nothing else | Belady, IBM Systems Journal 5(2), 1966 |
/// | `clock` | as `fifo`, but a hit earns another round | nearly the hits of `lru`, at nearly the cost of `fifo` | read lock, bit | Corbató, *A paging experiment with the Multics system*, 1968 |
/// | `mru` | what was used last | loops over more than fits: a part of it stays | read lock, note | Chou, DeWitt, VLDB 1985 |
/// | `adaptive` | what that one of five policies gives up that would have hit most lately, tried out on a sample of the keys | streams nobody knows, or that change | read lock, note; a sample of the hits is tried out | Waldspurger et al., ATC 2017, over LRU, segmented LRU, 2Q, S3-FIFO and W-TinyLFU |
///
/// No hit waits for another, and none allocates: `lru`, `lfu`, `mru` and `adaptive` only note it. The shard's order is
/// brought up to date by the next write, or by one of the hits after 64 of them. When threads race to note their hits, a few are
/// lost.
///
/// Every policy ranks within a shard: in a cache of thousands, who leaves is the least recent (or least
/// used …) of its shard, not of all. A cache below 64 entries has one shard and is exact.
///
/// `mru` keeps a newcomer at the cost of the entry that was used last before it; the rest of what it holds changes only by expiry,
/// evictions and weight. Give it a `ttl`, unless the loop is all there ever is.
///
/// In a cache of thousands, an entry takes at most this much beside its key and value: 75 bytes plus a 64th of the size of key and value;
/// with `adaptive` 95 bytes plus a 64th, and 200 kB for the trials of the whole cache; with `s3fifo` 130 bytes plus six tenths, because it
/// remembers entries that it gave up, half as many as it holds, in slots of the same size. Entries that expire take 35 bytes more.
/// When entries leave they give their memory back; `s3fifo` does so at the next sweep, if of many only few are left in a shard.
///
/// Configuration can name a policy as the attribute does:
///
/// ```
/// use hybridcache::Policy;
///
/// let policy: Policy = "lfu".parse()?;
/// assert_eq!(policy, Policy::Lfu);
/// assert_eq!(policy.to_string(), "lfu");
/// # Ok::<(), hybridcache::UnknownPolicy>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// The default: scan-resistant, with a memory of what it gave up lately.
    #[default]
    S3Fifo,
    /// The least recently used entry leaves.
    Lru,
    /// The least frequently used entry leaves; uses count for less as they age.
    Lfu,
    /// The entry that has been there longest leaves.
    Fifo,
    /// The most recently used entry leaves.
    Mru,
    /// The entry that has been there longest leaves, unless it was used since it was last considered.
    Clock,
    /// The one of five other policies that would have hit most lately decides who leaves.
    Adaptive,
}

impl Policy {
    const ALL: [Self; 7] = [Self::S3Fifo, Self::Lru, Self::Lfu, Self::Fifo, Self::Mru, Self::Clock, Self::Adaptive];

    fn name(self) -> &'static str {
        match self {
            Self::S3Fifo => "s3fifo",
            Self::Lru => "lru",
            Self::Lfu => "lfu",
            Self::Fifo => "fifo",
            Self::Mru => "mru",
            Self::Clock => "clock",
            Self::Adaptive => "adaptive",
        }
    }
}

/// Its name, as it is written in the attribute.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// From its name, exactly as it is written in the attribute.
impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|policy| policy.name() == name).ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

/// The text given for the name of a [`Policy`] is not one. The message lists them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no policy `{0}`: write one of {names}", names = Policy::ALL.map(Policy::name).join(", "))]
pub struct UnknownPolicy(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_back_from_its_name() {
        for (name, policy) in [
            ("s3fifo", Policy::S3Fifo),
            ("lru", Policy::Lru),
            ("lfu", Policy::Lfu),
            ("fifo", Policy::Fifo),
            ("mru", Policy::Mru),
            ("clock", Policy::Clock),
            ("adaptive", Policy::Adaptive),
        ] {
            assert_eq!(policy.to_string(), name);
            assert_eq!(name.parse(), Ok(policy));
        }
        assert_eq!(format!("{:>5}", Policy::Lru), "  lru");
    }

    #[test]
    fn what_is_no_name_is_refused_with_all_that_are() {
        for name in ["", "LRU", " lru", "s4fifo"] {
            let error = name.parse::<Policy>().unwrap_err();
            let said =
                format!("there is no policy `{name}`: write one of s3fifo, lru, lfu, fifo, mru, clock, adaptive");
            assert_eq!(error.to_string(), said);
        }
    }
}
