//! What was promised, and whether it was kept.

use std::collections::{BTreeMap, BTreeSet};

use super::{FRESH_FOR, Key, NODES};

/// A read that is under way, and what it has to return at least.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) key: Key,
    bounded: u64,
    own: u64,
    seen: u64,
    /// Everything has settled: it is to return the newest.
    pub(super) last: bool,
}

impl Read {
    pub(super) fn last(self, last: bool) -> Self {
        Self { last, ..self }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Promises {
    /// When each version of a key was acknowledged; instants rise.
    acknowledged: BTreeMap<Key, Vec<(u64, u64)>>,
    /// The versions that a clear is to cover, not an eviction: their bound, too, is not promised while a failover is found out about,
    /// for a node that has yet to notice takes leases by a clock that is no more.
    cleared: BTreeMap<Key, BTreeSet<u64>>,
    own: [BTreeMap<Key, u64>; NODES],
    seen: [BTreeMap<Key, u64>; NODES],
    /// Acknowledged, and then lost by a failover: until it is executed again.
    lost: BTreeMap<Key, u64>,
    /// Until then nothing but bounds is promised: a failover lost something.
    window: u64,
    pub(super) broken: Option<String>,
}

impl Promises {
    pub(super) fn read(&self, node: usize, key: Key, now: u64) -> Read {
        let cleared = self.cleared.get(&key).filter(|_| now < self.window);
        let due = |at: &&(u64, u64)| at.0 + FRESH_FOR < now;
        let acknowledged = self.acknowledged.get(&key).into_iter().flatten();
        let bounded = acknowledged.take_while(due).map(|(_, version)| *version);
        let bounded =
            bounded.filter(|version| cleared.is_none_or(|cleared| !cleared.contains(version))).max().unwrap_or(0);
        let promised = |of: &BTreeMap<Key, u64>| {
            if now < self.window { 0 } else { of.get(&key).copied().unwrap_or(0) }
        };
        Read { key, bounded, own: promised(&self.own[node]), seen: promised(&self.seen[node]), last: false }
    }

    /// A read returned. What is not kept is not promised to be monotonic (R11).
    pub(super) fn returned(&mut self, node: usize, read: Read, version: u64, kept: bool, now: u64) {
        let what = if version < read.bounded {
            "G2"
        } else if version < read.own {
            "G3"
        } else if kept && version < read.seen {
            "G4"
        } else {
            ""
        };
        if !what.is_empty() {
            self.fail(format!("{what}: node {node} was given version {version} for {read:?} at {now}"));
        }
        if kept && now >= self.window {
            let seen = self.seen[node].entry(read.key).or_default();
            *seen = (*seen).max(version);
        }
    }

    pub(super) fn fail(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub(super) fn filled(&mut self, key: Key, version: u64, evicted: u64) {
        if version < evicted {
            self.fail(format!("G1: version {version} of {key} was filled, {evicted} is evicted"));
        }
    }

    /// An invalidation of what was `version` then is acknowledged. If no server of now executed it, it counts from when one does.
    pub(super) fn acknowledged(&mut self, node: usize, key: Key, version: u64, covered: u64, now: u64) {
        let own = self.own[node].entry(key).or_default();
        *own = (*own).max(version);
        if version > covered {
            self.lose(key, version, now);
        } else {
            self.acknowledged.entry(key).or_default().push((now, version));
        }
    }

    /// The intent that a version was committed under has ended: whether or not its writer lives, nothing older is there.
    pub(super) fn guarded(&mut self, key: Key, version: u64, now: u64) {
        self.acknowledged.entry(key).or_default().push((now, version));
    }

    /// A node has no past.
    pub(super) fn started_anew(&mut self, node: usize) {
        self.own[node].clear();
        self.seen[node].clear();
    }

    /// Deferred: in effect on its node, and nowhere else yet.
    pub(super) fn deferred(&mut self, node: usize, key: Key, version: u64) {
        let own = self.own[node].entry(key).or_default();
        *own = (*own).max(version);
    }

    pub(super) fn cleared(&mut self, key: Key, version: u64) {
        self.cleared.entry(key).or_default().insert(version);
    }

    fn lose(&mut self, key: Key, version: u64, now: u64) {
        let lost = self.lost.entry(key).or_default();
        *lost = (*lost).max(version);
        self.open_window(now);
    }

    fn open_window(&mut self, now: u64) {
        self.window = now + 20 * FRESH_FOR;
        self.seen = Default::default();
    }

    /// An older server takes over: what it does not cover is acknowledged no more.
    pub(super) fn failed_over<'a>(
        &mut self,
        covered: &BTreeMap<Key, u64>,
        reads: impl Iterator<Item = &'a mut Read>,
        now: u64,
    ) {
        self.open_window(now);
        let covered = |key: &Key| covered.get(key).copied().unwrap_or(0);
        for (key, all) in &mut self.acknowledged {
            if let Some((_, version)) = all.iter().filter(|(_, version)| *version > covered(key)).max_by_key(|at| at.1)
            {
                let lost = self.lost.entry(*key).or_default();
                *lost = (*lost).max(*version);
            }
            all.retain(|(_, version)| *version <= covered(key));
        }
        for read in reads {
            (read.own, read.seen) = (0, 0);
            read.bounded = read.bounded.min(covered(&read.key));
        }
    }

    pub(super) fn executed(&mut self, key: Key, covered: u64, now: u64) {
        if self.lost.get(&key).is_some_and(|lost| *lost <= covered) {
            let version = self.lost.remove(&key).expect("it was lost");
            self.acknowledged.entry(key).or_default().push((now, version));
        }
    }

    pub(super) fn finished(&mut self) {
        if !self.lost.is_empty() {
            self.fail(format!("G6: lost for good: {:?}", self.lost));
        }
    }
}
