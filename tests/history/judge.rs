//! Whether a history kept what is promised. Everything here is offline: it sees times, versions and sources, and nothing of the
//! library.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::database::{Commit, Load};
use super::operation::{Operation, What};
use super::{KEYS, STRICT};

mod zones;

/// What everybody did, what the database saw, and what the harness knows.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Of all processes.
    pub operations: Vec<Operation>,
    /// Of the database.
    pub commits: Vec<Commit>,
    /// Of the database.
    pub loads: Vec<Load>,
    /// When Redis came back with a past of before.
    pub lapses: Vec<Lapse>,
    /// When Redis lost what it should have kept: from when to when.
    pub losses: Vec<(u64, u64)>,
    /// From here on nobody writes, and no fault is on or still felt.
    pub settled: u64,
    /// The processes that live then.
    pub alive: Vec<u64>,
}

/// What was queued was acknowledged later, and nobody wrote down when: at the latest after this, which is far longer than a fault
/// lasts and a connection takes to come back. Until then it may have been lost all the same.
const QUEUED_FOR: u64 = 10_000_000_000;

/// Redis lost what it had acknowledged: it saved, went on, was killed, and came back as it had been saved. What was acknowledged in
/// between counts as acknowledged only when those who witnessed it have repeated it.
#[derive(Clone, Copy, Debug)]
pub struct Lapse {
    /// What was acknowledged from here on is lost …
    pub saved: u64,
    /// … from here on …
    pub killed: u64,
    /// … until here.
    pub healed: u64,
}

/// What is promised.
#[derive(Clone, Copy, Debug)]
pub struct Promises {
    /// How old an answer of memory may be after an evict elsewhere.
    pub staleness: u64,
    /// By how much an entry may outlive its lifetime.
    pub overstay: u64,
    /// The lifetime of a key's entries.
    pub lifetime: fn(u64) -> u64,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub promise: &'static str,
    /// How.
    pub story: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// How often each promise was looked at.
    pub looked: BTreeMap<&'static str, u64>,
    /// What was broken.
    pub violations: Vec<Violation>,
    /// By how much an answer was older than an evict or clear elsewhere, at worst, in nanoseconds.
    pub worst_lag: u64,
    /// Answers that were older than an evict or clear elsewhere, by the power of two of milliseconds.
    pub lags: BTreeMap<u32, u64>,
    /// By how much an entry outlived its lifetime, at worst, in nanoseconds.
    pub worst_overstay: u64,
}

/// Judges a history.
#[must_use]
pub fn judge(history: &History, promises: &Promises) -> Judgement {
    let mut judgement = Judgement::default();
    let filled = Filled::of(history);
    judgement.committed(history);
    judgement.bounded(history, promises);
    judgement.own_writes(history);
    judgement.monotonic(history, &filled);
    judgement.one_fill_at_a_time(history, &filled);
    judgement.linearizable(history);
    judgement.repeated(history, promises);
    judgement.mortal(history, promises);
    judgement.settled(history);
    judgement
}

/// When writes count as acknowledged: `(version, when)`, by version, with the earliest time of this version or a later one.
#[derive(Debug, Default)]
struct Writes(Vec<(u64, u64)>);

impl Writes {
    /// Of writes to one key, as they count for a read that ends at `end`.
    fn new<'w>(writes: impl Iterator<Item = &'w Operation>, lapses: &[Lapse]) -> Self {
        let counts = |write: &Operation| {
            let queued = matches!(write.what, What::Deferred | What::Put | What::Unsure);
            let sent = if queued { write.end.saturating_add(QUEUED_FOR) } else { write.end };
            let lost = lapses.iter().filter(|lapse| write.end < lapse.healed && lapse.saved <= sent);
            (write.version, lost.map(|lapse| lapse.healed).max().unwrap_or(write.end))
        };
        let mut all: Vec<_> = writes.map(counts).collect();
        all.sort_unstable();
        let mut earliest = u64::MAX;
        for (_, at) in all.iter_mut().rev() {
            earliest = earliest.min(*at);
            *at = earliest;
        }
        Self(all)
    }

    /// For how long a newer version had been acknowledged when a read of `version` began.
    fn lag(&self, version: u64, start: u64) -> Option<u64> {
        let newer = self.0.partition_point(|(other, _)| *other <= version);
        let at = self.0.get(newer)?.1;
        start.checked_sub(at).filter(|lag| *lag > 0)
    }
}

/// The writes of each key, as they count before the first lapse, after it, and so on.
struct Acknowledged<'h> {
    lapses: &'h [Lapse],
    phases: Vec<HashMap<(u64, u64), Writes>>,
}

impl<'h> Acknowledged<'h> {
    /// `group` tells apart what is compared apart.
    fn new<'o>(
        operations: impl Iterator<Item = &'o Operation> + Clone,
        lapses: &'h [Lapse],
        group: impl Fn(&Operation) -> u64,
    ) -> Self {
        let mut groups: HashMap<(u64, u64), Vec<&Operation>> = HashMap::new();
        for write in operations {
            groups.entry((group(write), write.key)).or_default().push(write);
        }
        let phase = |lapses| {
            let writes = |of: &Vec<&Operation>| Writes::new(of.iter().copied(), lapses);
            groups.iter().map(|(name, of)| (*name, writes(of))).collect()
        };
        Self { lapses, phases: (0..=lapses.len()).map(|count| phase(&lapses[..count])).collect() }
    }

    fn lag(&self, group: u64, read: &Operation) -> Option<u64> {
        let phase = self.lapses.iter().filter(|lapse| lapse.killed <= read.end).count();
        self.phases[phase].get(&(group, read.key))?.lag(read.version, read.start)
    }
}

/// The loads that Redis kept, as reads show that it answered.
struct Filled {
    loads: HashSet<u64>,
    /// Loads that those who ran them were told are kept nowhere.
    unkept: HashSet<u64>,
}

impl Filled {
    fn of(history: &History) -> Self {
        let of = |what| history.operations.iter().filter(move |read| read.what == what).map(|read| read.load).collect();
        Self { loads: of(What::Redis), unkept: of(What::Uncached) }
    }
}

impl Judgement {
    fn look(&mut self, promise: &'static str, kept: bool, story: impl FnOnce() -> String) {
        *self.looked.entry(promise).or_default() += 1;
        if !kept {
            self.violations.push(Violation { promise, story: story() });
        }
    }

    /// Nothing is read that was not committed before, or under another key.
    fn committed(&mut self, history: &History) {
        let commits: HashMap<_, _> =
            history.commits.iter().map(|commit| ((commit.key, commit.version), commit.at)).collect();
        for read in history.operations.iter().filter(|operation| operation.is_read()) {
            let at = if read.version == 0 { Some(&0) } else { commits.get(&(read.key, read.version)) };
            self.look("G0", at.is_some_and(|at| *at <= read.end), || format!("never committed: {read:?}"));
        }
    }

    /// G1, G2, G7: memory answers with what is at most so old; whoever asks further gets what is not old at all, but for a clear,
    /// which Redis only takes note of.
    fn bounded(&mut self, history: &History, promises: &Promises) {
        let writes = |whats: &'static [What]| {
            let of = history.operations.iter().filter(move |operation| whats.contains(&operation.what));
            Acknowledged::new(of, &history.lapses, |_| 0)
        };
        let (evicts, clears) = (writes(&[What::Evicted, What::Guarded]), writes(&[What::Cleared]));
        for read in history.operations.iter().filter(|operation| operation.is_read()) {
            let (promise, bound) = match read.what {
                What::Memory | What::Shared => ("G2", promises.staleness),
                // Of the others memory has nothing.
                What::Found if read.key < KEYS => ("G2", promises.staleness),
                _ => ("G1", 0),
            };
            for (promise, bound, writes) in [(promise, bound, &evicts), ("G7", promises.staleness, &clears)] {
                let lag = writes.lag(0, read).unwrap_or(0);
                if lag > 0 {
                    self.worst_lag = self.worst_lag.max(lag);
                    *self.lags.entry((lag / 1_000_000 + 1).ilog2()).or_default() += 1;
                }
                self.look(promise, lag <= bound, || format!("{} older than what was acknowledged: {read:?}", ms(lag)));
            }
        }
    }

    /// G3: who wrote reads it, also where the evict could only be queued; and so does who was given a token of it.
    fn own_writes(&mut self, history: &History) {
        let own = history.operations.iter().filter(|operation| !operation.is_read());
        let writes = Acknowledged::new(own, &history.lapses, |write| write.process);
        for read in history.operations.iter().filter(|operation| operation.is_read()) {
            let lag = writes.lag(read.process, read);
            self.look("G3", lag.is_none(), || {
                format!("{} after its own process wrote a newer one: {read:?}", ms(lag.unwrap_or(0)))
            });
        }
    }

    /// G4: nobody in a process reads an older version after somebody there has read a newer one. Not of what was returned and kept
    /// nowhere, nor over a lapse.
    fn monotonic(&mut self, history: &History, filled: &Filled) {
        let mut reads: HashMap<_, Vec<&Operation>> = HashMap::new();
        for read in history.operations.iter().filter(|operation| operation.is_read()) {
            let within = |lapse: &&Lapse| lapse.killed <= read.end && read.start < lapse.healed;
            if !filled.unkept.contains(&read.load) && history.lapses.iter().find(within).is_none() {
                // Those before a lapse are not compared with those after it.
                let lapses = history.lapses.iter().filter(|lapse| lapse.healed <= read.start).count();
                reads.entry((read.process, read.key, lapses)).or_default().push(read);
            }
        }
        for reads in reads.values_mut() {
            let mut ends: Vec<_> = reads.iter().copied().filter(|read| filled.loads.contains(&read.load)).collect();
            ends.sort_unstable_by_key(|read| read.end);
            reads.sort_unstable_by_key(|read| read.start);
            let mut ended = ends.into_iter().peekable();
            let mut newest: Option<&Operation> = None;
            for read in reads {
                while let Some(before) = ended.next_if(|before| before.end < read.start) {
                    if newest.is_none_or(|newest| newest.version < before.version) {
                        newest = Some(before);
                    }
                }
                let Some(before) = newest else { continue };
                self.look("G4", before.version <= read.version, || format!("{read:?} after {before:?}"));
            }
        }
    }

    /// G8, and that what Redis keeps only gets newer: of the loads of a key that it kept, each began after the one before had ended.
    fn one_fill_at_a_time(&mut self, history: &History, filled: &Filled) {
        let mut keys: BTreeMap<u64, Vec<&Load>> = BTreeMap::new();
        for load in history.loads.iter().filter(|load| filled.loads.contains(&load.load)) {
            if !history.lapses.iter().any(|lapse| load.start < lapse.healed && lapse.saved < load.end) {
                keys.entry(load.key).or_default().push(load);
            }
        }
        for loads in keys.values_mut() {
            loads.sort_unstable_by_key(|load| load.start);
            for pair in loads.windows(2) {
                let apart = pair[0].end <= pair[1].start;
                self.look("G8", apart, || format!("both were kept: {:?} and {:?}", pair[0], pair[1]));
                let newer = pair[0].version <= pair[1].version;
                self.look("G1", newer, || format!("what Redis keeps got older: {:?} and {:?}", pair[0], pair[1]));
            }
        }
    }

    /// G5: what is read and written of a strict key is as if each took effect at one moment. Not of one that was in use while Redis
    /// lost the guards of those who wrote it.
    fn linearizable(&mut self, history: &History) {
        let mut keys: BTreeMap<u64, Vec<&Operation>> = BTreeMap::new();
        for operation in history.operations.iter().filter(|operation| operation.key >= STRICT) {
            keys.entry(operation.key).or_default().push(operation);
        }
        for operations in keys.values() {
            let lost = |operation: &&Operation| {
                history.losses.iter().any(|(from, to)| operation.start <= *to && *from <= operation.end)
            };
            if !operations.iter().any(lost) {
                let fault = zones::fault(operations);
                *self.looked.entry("G5").or_default() += operations.len() as u64 - 1;
                self.look("G5", fault.is_none(), || fault.unwrap_or_default());
            }
        }
    }

    /// G6: what was acknowledged and is lost with a server is in effect again when those who witnessed it have repeated it.
    fn repeated(&mut self, history: &History, promises: &Promises) {
        for lapse in &history.lapses {
            let mut lost: HashMap<u64, u64> = HashMap::new();
            let in_doubt = |write: &&Operation| {
                matches!(write.what, What::Evicted | What::Guarded) && (lapse.saved..lapse.killed).contains(&write.end)
            };
            for write in history.operations.iter().filter(in_doubt) {
                let newest = lost.entry(write.key).or_default();
                *newest = write.version.max(*newest);
            }
            for read in history.operations.iter().filter(|operation| operation.is_read()) {
                let from_memory = matches!(read.what, What::Memory | What::Shared | What::Found);
                let bound = if from_memory { promises.staleness } else { 0 };
                if let Some(newest) = lost.get(&read.key)
                    && read.start > lapse.healed + bound
                {
                    let story = || format!("{newest} was lost, and is not what is: {read:?}");
                    self.look("G6", read.version >= *newest, story);
                }
            }
        }
    }

    /// G10: whatever else fails, an entry dies.
    fn mortal(&mut self, history: &History, promises: &Promises) {
        for read in history.operations.iter().filter(|operation| operation.is_read()) {
            let dies = read.loaded_at.saturating_add((promises.lifetime)(read.key));
            let overstay = read.start.saturating_sub(dies);
            self.worst_overstay = self.worst_overstay.max(overstay);
            self.look("G10", overstay <= promises.overstay, || format!("{} after its end: {read:?}", ms(overstay)));
        }
    }

    /// Liveness: when all is over, everybody reads what is, and mostly from memory.
    fn settled(&mut self, history: &History) {
        let mut newest: HashMap<u64, u64> = HashMap::new();
        for commit in &history.commits {
            let version = newest.entry(commit.key).or_default();
            *version = (*version).max(commit.version);
        }
        let mut memory: BTreeMap<u64, (u64, u64)> = history.alive.iter().map(|process| (*process, (0, 0))).collect();
        let late = |read: &&Operation| read.is_read() && read.start >= history.settled;
        for read in history.operations.iter().filter(late) {
            let newest = newest.get(&read.key).copied().unwrap_or(0);
            self.look("liveness", read.version == newest, || format!("{newest} is the newest: {read:?}"));
            let (hits, reads) = memory.entry(read.process).or_default();
            *hits += u64::from(read.what == What::Memory);
            *reads += 1;
        }
        for (process, (hits, reads)) in memory {
            self.look("liveness", reads > 0 && 2 * hits > reads, || {
                format!("process {process} answers from memory in {hits} of {reads} reads when all is over")
            });
        }
    }
}

fn ms(nanos: u64) -> String {
    format!("{:.1} ms", nanos as f64 / 1e6)
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (promise, looked) in &self.looked {
            let broken = self.violations.iter().filter(|violation| violation.promise == *promise);
            writeln!(f, "  {promise:<9} {looked:>8} looked at, {} broken", broken.count())?;
        }
        writeln!(f, "  worst lag {}, worst overstay {}", ms(self.worst_lag), ms(self.worst_overstay))?;
        write!(f, "  answers older than what was acknowledged:")?;
        for (power, count) in &self.lags {
            write!(f, " <{} ms: {count}", (2_u64 << power) - 1)?;
        }
        for promise in self.looked.keys() {
            // A few of each say it all.
            for violation in self.violations.iter().filter(|violation| violation.promise == *promise).take(5) {
                write!(f, "\n  {promise}: {}", violation.story)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
