//! One node: what production does around the core, without threads.

use std::collections::BTreeMap;

use super::check::Read;
use super::server::{Record, Write as Written};
use super::world::{Command, Reply, World};
use super::{FRESH_FOR, HEARTBEAT, INTENT, Key, Random, cache_of, caches, eviction, key_of};
use crate::coherence::deferred::Body;
use crate::coherence::effect::Effect;
use crate::coherence::floors::{Born, Verdict};
use crate::coherence::model::Broken;
use crate::coherence::node::{Node, Nonce, Timing};
use crate::coherence::{Entered, FlightId, Start, Table};
use crate::key::Stored;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) node: Node,
    pub(super) table: Table<Key, Read>,
    pub(super) memory: BTreeMap<Key, (u64, u64)>,
    pub(super) flights: BTreeMap<FlightId, Flight>,
    /// Invalidations under way, with what each is to cover; none for a replay.
    pub(super) writes: BTreeMap<u64, Write>,
}

#[derive(Debug)]
pub(super) struct Flight {
    key: Key,
    leader: Read,
    generation: u64,
    lease: Nonce,
    born: Option<Born>,
    fill: bool,
    loaded: u64,
    tainted: bool,
}

#[derive(Debug)]
pub(super) struct Write {
    body: Body,
    generation: u64,
    versions: Vec<(Key, u64)>,
    written: Written,
    replay: bool,
}

impl Process {
    pub(super) fn new(random: &mut Random, now: u64) -> Self {
        let timing = Timing {
            fresh_for: FRESH_FOR,
            heartbeat: HEARTBEAT,
            lag: 0,
            witness_for: 60_000,
            replay_others_after: random.below(300),
        };
        let node = Node::new(timing, 4, now);
        let (memory, flights, writes) = Default::default();
        Self { node, table: Table::default(), memory, flights, writes }
    }

    /// The reads that are under way.
    pub(super) fn reads(&mut self) -> impl Iterator<Item = &mut Read> {
        self.flights.values_mut().map(|flight| &mut flight.leader).chain(self.table.waiting())
    }
}

fn stored(key: Key) -> Stored<Key> {
    Stored { hash: u64::from(key), key }
}

impl World {
    pub(super) fn read(&mut self, n: usize, key: Key, last: bool) {
        let now = self.now;
        let effects = self.processes[n].node.read(now);
        self.apply(n, effects);
        let read = self.promises.read(n, key, now).last(last);
        let process = &self.processes[n];
        let served = self.broken(Broken::NoFence) || process.node.is_synced(now);
        match process.memory.get(&key) {
            Some((version, end)) if served && *end > now => {
                let version = *version;
                self.count("hits");
                self.give(n, read, version, true);
            }
            _ => self.enter(n, read),
        }
    }

    fn enter(&mut self, n: usize, read: Read) {
        let (now, key, id) = (self.now, read.key, self.draw());
        let lease = if self.broken(Broken::TokenPerNode) { 1 << 100 | n as Nonce } else { self.link() };
        let join_old = self.broken(Broken::JoinOld);
        let owed_is_read = self.broken(Broken::OwedIsRead);
        let process = &mut self.processes[n];
        let horizon = if join_old { 0 } else { process.node.horizon(now) };
        let start = Start { id, generation: 0, began: now, blocking: false };
        if let Entered::Wait(_) = process.table.enter(stored(key), start, horizon, |_| true, || read) {
            return self.count("joins");
        }
        // R10: an entry that may not be served now is not served again.
        process.memory.remove(&key);
        let owes = process.node.owes(cache_of(key), &[key]) && !owed_is_read;
        let generation = process.node.generation();
        let flight =
            Flight { key, leader: read, generation, lease, born: None, fill: false, loaded: 0, tainted: false };
        process.flights.insert(id, flight);
        if owes {
            self.count("loads of what is owed");
            self.load(n, id, false);
        } else {
            self.send(n, Command::Get { flight: id, key, lease });
        }
    }

    fn load(&mut self, n: usize, id: FlightId, fill: bool) {
        let now = self.now;
        let born = self.processes[n].node.born(now);
        let Some(flight) = self.processes[n].flights.get_mut(&id) else { return };
        (flight.fill, flight.born) = (fill, born);
        if fill && born.is_none() {
            self.ask_floors(n, Some((id, None)));
        } else {
            self.start_loading(n, id);
        }
    }

    fn ask_floors(&mut self, n: usize, flight: Option<(FlightId, Option<(u64, Born)>)>) {
        let ticket = self.processes[n].node.floors_asked(self.now);
        self.send(n, Command::Floors { ticket, flight });
    }

    /// The source was read; its answer takes a while.
    pub(super) fn source_read(&mut self, n: usize, id: FlightId) -> bool {
        let Some(flight) = self.processes[n].flights.get_mut(&id) else { return false };
        flight.loaded = self.db[&flight.key];
        true
    }

    pub(super) fn loaded(&mut self, n: usize, id: FlightId) {
        let Some(flight) = self.processes[n].flights.get(&id) else { return };
        let (key, lease, version, born) = (flight.key, flight.lease, flight.loaded, flight.born);
        let born = if self.broken(Broken::BornAtFill) { self.processes[n].node.born(self.now) } else { born };
        match born.filter(|_| flight.fill) {
            Some(born) => {
                self.send(n, Command::Fill { flight: id, key, lease, record: Record::Value { version, born } })
            }
            None => self.land(n, id, version, false),
        }
    }

    pub(super) fn reply(&mut self, n: usize, reply: Reply) {
        let now = self.now;
        match reply {
            Reply::Got { flight, record: None } => self.load(n, flight, true),
            Reply::Got { flight, record: Some(Record::Intents) } => self.load(n, flight, false),
            Reply::Got { flight, record: Some(Record::Lease(_)) } => {
                let mine = self.broken(Broken::TokenPerNode);
                let fill = mine
                    && self.processes[n]
                        .flights
                        .get(&flight)
                        .is_some_and(|f| Some(Record::Lease(f.lease)) == reply.record());
                self.load(n, flight, fill);
            }
            Reply::Got { flight, record: Some(Record::Value { version, born }) } => {
                self.found(n, flight, version, born, true)
            }
            Reply::Over { flight, granted: true } => self.load(n, flight, true),
            Reply::Over { flight, granted: false } => self.again(n, flight),
            Reply::Filled { flight, kept } => {
                let Some(of) = self.processes[n].flights.get(&flight) else { return };
                let (version, current) = (of.loaded, of.generation == self.processes[n].node.generation());
                if !kept {
                    self.count("rejected fills");
                }
                self.land(n, flight, version, kept && current);
            }
            Reply::Invalidated { write, mark, put } => self.invalidated(n, write, Some(mark), put),
            Reply::Floors { ticket, mark, table, flight } => {
                let effects = self.processes[n].node.floors_loaded(ticket, mark, table, now);
                self.apply(n, effects);
                match flight {
                    Some((id, Some((version, born)))) => self.found(n, id, version, born, false),
                    Some((id, None)) => {
                        let fill = self.processes[n].node.born(now).is_some();
                        self.load(n, id, fill);
                    }
                    None => {}
                }
            }
            Reply::Log { generation, partition, messages } => {
                let effects = self.processes[n].node.log_answered(generation, partition, &messages, now);
                self.apply(n, effects);
            }
            Reply::Failed(command) => match command {
                Command::Get { flight, .. } | Command::Over { flight, .. } => self.load(n, flight, false),
                Command::Fill { flight, .. } => {
                    let Some(version) = self.processes[n].flights.get(&flight).map(|f| f.loaded) else { return };
                    self.land(n, flight, version, false);
                }
                Command::Invalidate { write, .. } => self.invalidated(n, write, None, false),
                Command::Floors { flight: Some((id, ..)), .. } => self.load(n, id, false),
                Command::Log { generation, partition, .. } => {
                    let effects = self.processes[n].node.log_answered(generation, partition, &[], now);
                    self.apply(n, effects);
                }
                Command::Floors { flight: None, .. } | Command::Fence { .. } => {}
            },
        }
    }

    fn found(&mut self, n: usize, id: FlightId, version: u64, born: Born, may_ask: bool) {
        let now = self.now;
        let Some(flight) = self.processes[n].flights.get(&id) else { return };
        let (key, lease) = (flight.key, flight.lease);
        if flight.generation != self.processes[n].node.generation() {
            self.count("replies of a dead generation");
            return self.again(n, id);
        }
        let verdict = self.processes[n].node.judge(born, cache_of(key), now);
        match verdict {
            _ if self.broken(Broken::NotJudged) => self.land(n, id, version, true),
            Verdict::Valid => self.land(n, id, version, true),
            Verdict::Unknown if may_ask => {
                self.ask_floors(n, Some((id, Some((version, born)))));
            }
            Verdict::Unknown => self.load(n, id, false),
            Verdict::Dead => {
                self.count("dead records");
                self.send(n, Command::Over { flight: id, key, found: Record::Value { version, born }, lease });
            }
        }
    }

    /// A flight has a value, that may be kept or not.
    fn land(&mut self, n: usize, id: FlightId, version: u64, keep: bool) {
        let Some(flight) = self.processes[n].flights.remove(&id) else { return };
        let end = self.now + 20 + self.random.below(1_000);
        let landed = self.processes[n].table.land(&stored(flight.key), id, 0);
        let fill = landed.fill
            || self.broken(Broken::NoInsertGuard)
            || (self.broken(Broken::RetiredMayFill) && !flight.tainted);
        if keep && fill {
            self.processes[n].memory.insert(flight.key, (version, end));
        }
        let counts = keep && (fill || self.broken(Broken::DetachedCounts));
        let counts = counts || (flight.fill && self.broken(Broken::RejectedReturns));
        for read in landed.waiters.into_iter().chain([flight.leader]) {
            self.give(n, read, version, counts);
        }
    }

    /// A flight comes to nothing: its callers look again.
    fn again(&mut self, n: usize, id: FlightId) {
        let Some(flight) = self.processes[n].flights.remove(&id) else { return };
        let landed = self.processes[n].table.land(&stored(flight.key), id, 0);
        for read in landed.waiters.into_iter().chain([flight.leader]) {
            self.enter(n, read);
        }
    }

    /// Commits, or commits to every key of a cache; the invalidation follows.
    pub(super) fn commit(&mut self, n: usize, key: Key, clear: bool) {
        let keys: Vec<Key> = if clear { caches(cache_of(key)).collect() } else { vec![key] };
        let mut versions = Vec::new();
        for key in keys {
            let version = self.db.entry(key).or_default();
            *version += 1;
            versions.push((key, *version));
            if clear {
                self.promises.cleared(key, *version);
            }
        }
        let body = if clear { Body::Clear(cache_of(key).into()) } else { eviction(key) };
        self.after_commit(n, body, versions, Written::Evict);
    }

    /// A write of a key that begins with an intent.
    pub(super) fn begin(&mut self, n: usize, key: Key) {
        let (intent, end) = (self.link(), self.now + INTENT);
        self.kill(n, key, true);
        self.invalidate(n, eviction(key), vec![(key, 0)], Written::Begin(intent, end), false);
    }

    /// The write that began commits; what ends it follows.
    pub(super) fn commit_under(&mut self, n: usize, key: Key, intent: Nonce, ends: Option<u64>, put: bool) {
        let version = self.db.entry(key).or_default();
        *version += 1;
        let version = *version;
        // One that was not acknowledged, or that is over, guards nothing.
        if let Some(ends) = ends.filter(|ends| self.now < *ends) {
            self.guard(key, version, ends);
        }
        if self.mortal && self.faulty() && self.random.one_in(20) {
            return self.die(n);
        }
        let born = self.processes[n].node.born(self.now).filter(|_| put && ends.is_some());
        let written = match born {
            Some(born) => Written::Put(intent, version, born, self.now + 1_000),
            None => Written::End(intent),
        };
        self.after_commit(n, eviction(key), vec![(key, version)], written);
    }

    pub(super) fn evict(&mut self, n: usize, body: Body, versions: Vec<(Key, u64)>, written: Written) {
        for (key, _) in &versions {
            self.kill(n, *key, true);
        }
        self.invalidate(n, body, versions, written, false);
    }

    fn invalidate(&mut self, n: usize, body: Body, versions: Vec<(Key, u64)>, written: Written, replay: bool) {
        let (write, generation) = (self.draw(), self.processes[n].node.generation());
        let of = Write { body: body.clone(), generation, versions, written, replay };
        self.processes[n].writes.insert(write, of);
        self.send(n, Command::Invalidate { write, body, written });
    }

    fn invalidated(&mut self, n: usize, id: u64, mark: Option<super::world::Executed>, put: bool) {
        let now = self.now;
        let Some(write) = self.processes[n].writes.remove(&id) else { return };
        let Write { body, generation, versions, written, replay } = write;
        let node = &mut self.processes[n].node;
        if replay {
            let done = mark.map(|(partition, mark)| (partition, mark, &body));
            let (_, effects) = node.replayed(generation, done, now);
            return self.apply(n, effects);
        }
        let Some((partition, mark)) = mark else {
            let effects = node.defer(&body, now);
            self.count("deferred");
            self.go_on(n, &versions, written, false);
            for (key, version) in versions {
                self.kill(n, key, true);
                self.promises.deferred(n, key, version);
            }
            return self.apply(n, effects);
        };
        let (counts, mut effects) = self.processes[n].node.acknowledged(generation, partition, mark, &body, now);
        if self.broken(Broken::OwnEvictSparesFlights) {
            effects.retain(|effect| !matches!(effect, Effect::Kill(_)));
        }
        self.apply(n, effects);
        if counts {
            if put {
                self.count("puts");
            }
            self.go_on(n, &versions, written, true);
            for (key, version) in versions {
                if put && self.broken(Broken::PutKept) {
                    self.processes[n].memory.insert(key, (version, now + 1_000));
                }
                let covered = self.server.covered.get(&key).copied().unwrap_or(0);
                self.promises.acknowledged(n, key, version, covered, now);
            }
        } else {
            self.count("acknowledgements that do not count");
            self.invalidate(n, body, versions, written, false);
        }
    }

    /// A write that began goes on to its commit, whatever became of its intent.
    fn go_on(&mut self, n: usize, versions: &[(Key, u64)], written: Written, planted: bool) {
        if let (Written::Begin(intent, ends), [(key, _)]) = (written, versions) {
            self.after_begin(n, *key, intent, planted.then_some(ends));
        }
    }

    fn kill(&mut self, n: usize, key: Key, by_own: bool) {
        let spare = by_own && self.broken(Broken::OwnEvictSparesFlights);
        let number = self.draw();
        let process = &mut self.processes[n];
        process.memory.remove(&key);
        if !spare {
            process.table.evict(&stored(key), number);
            process.flights.values_mut().filter(|flight| flight.key == key).for_each(|flight| flight.tainted = true);
        }
    }

    pub(super) fn apply(&mut self, n: usize, effects: Vec<Effect>) {
        self.processes[n].node.validate();
        for effect in effects {
            match effect {
                Effect::Kill(texts) => texts.iter().for_each(|text| self.kill(n, key_of(text), false)),
                Effect::Clear(name) => caches(&name).for_each(|key| self.kill(n, key, false)),
                Effect::RaiseFloor => {
                    self.count("floors raised");
                    let (number, spare) = (self.draw(), self.broken(Broken::FloorSparesFlights));
                    let process = &mut self.processes[n];
                    process.memory.clear();
                    if !spare {
                        process.table.clear(number);
                        process.flights.values_mut().for_each(|flight| flight.tainted = true);
                    }
                }
                Effect::Synced(_) => {}
                Effect::SendFence => self.fence(n),
                Effect::LoadFloors => self.ask_floors(n, None),
                Effect::ReadLog(partition, after) => {
                    let generation = self.processes[n].node.generation();
                    self.send(n, Command::Log { generation, partition, after });
                }
                Effect::Replay(body) => {
                    self.count("replays");
                    if !self.broken(Broken::NoReplay) {
                        self.invalidate(n, body, Vec::new(), Written::Evict, true);
                    }
                }
            }
        }
    }
}
