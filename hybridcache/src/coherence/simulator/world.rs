//! Time, the network, and what goes wrong. What the server does when a command arrives is [`turn`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::check::{Promises, Read};
use super::process::Process;
use super::server::{Record, Server, Write};
use super::{FRESH_FOR, HEARTBEAT, KEYS, Key, NODES, Random};
use crate::coherence::FlightId;
use crate::coherence::deferred::Body;
use crate::coherence::floors::Born;
use crate::coherence::history::Message;
use crate::coherence::model::Broken;
use crate::coherence::node::{Mark, Nonce, Partition, Ticket};

mod turn;

/// The first instant.
const START: u64 = 1_000_000;

/// How long faults go on, and how long the fleet has to recover.
const FAULTS: u64 = 6_000;
const PEACE: u64 = 3_000;

/// For how long a command is waited for.
const TIMEOUT: u64 = 100;
const LEASE: u64 = 100;

pub(super) type Executed = (Partition, Mark);

#[derive(Clone, Debug)]
pub(super) enum Command {
    Get { flight: FlightId, key: Key, lease: Nonce },
    Over { flight: FlightId, key: Key, found: Record, lease: Nonce },
    Fill { flight: FlightId, key: Key, lease: Nonce, record: Record },
    Invalidate { write: u64, body: Body, written: Write },
    Floors { ticket: Ticket, flight: Option<(FlightId, Option<(u64, Born)>)> },
    Log { generation: u64, partition: Partition, after: u64 },
    Fence { connection: u64, ticket: Ticket },
}

#[derive(Clone, Debug)]
pub(super) enum Reply {
    Got { flight: FlightId, record: Option<Record> },
    Over { flight: FlightId, granted: bool },
    Filled { flight: FlightId, kept: bool },
    Invalidated { write: u64, mark: Executed, put: bool },
    Floors { ticket: Ticket, mark: Mark, table: Vec<(Arc<str>, u64)>, flight: Option<(FlightId, Option<(u64, Born)>)> },
    Log { generation: u64, partition: Partition, messages: Vec<Message> },
    Failed(Command),
}

impl Reply {
    pub(super) fn record(&self) -> Option<Record> {
        if let Self::Got { record, .. } = self { *record } else { None }
    }
}

#[derive(Clone, Debug)]
enum Pushed {
    Message(Partition, Message),
    Fence(Ticket, [Mark; 2]),
}

#[derive(Debug)]
enum Event {
    /// A user of a node does something.
    Use(usize),
    Evict(usize, Body, Vec<(Key, u64)>, Write),
    /// A write that began with an intent commits. When that ends, if it is known to stand; and whether a value is put.
    Commit(usize, Key, Nonce, Option<u64>, bool),
    /// An intent is over, under which a version was committed.
    Guarded(Key, u64),
    Tick(usize),
    /// From a node in that life.
    Arrive(usize, u64, Command),
    Reply(usize, Reply),
    SourceRead(usize, FlightId),
    Loaded(usize, FlightId),
    Push(usize, u64, Pushed),
    Up(usize),
    Fault,
    Replicate,
    LastReads,
}

/// A node, and which of its lives: what is to happen in one does not happen in the next.
type Life = (usize, u64);

/// The connection of a node to the bus: in order while it lasts.
#[derive(Clone, Copy, Debug, Default)]
struct Bus {
    connection: u64,
    up: bool,
    /// When the newest push arrives.
    last: u64,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) random: Random,
    pub(super) server: Server,
    pub(super) db: BTreeMap<Key, u64>,
    pub(super) processes: Vec<Process>,
    pub(super) promises: Promises,
    pub(super) counts: BTreeMap<&'static str, u64>,
    broken: Option<Broken>,
    replica: Server,
    queue: BTreeMap<(u64, u64), (Option<Life>, Event)>,
    /// Nodes die, and the server does not.
    pub(super) mortal: bool,
    lives: [u64; NODES],
    drawn: u64,
    buses: [Bus; NODES],
    unreachable_until: [u64; NODES],
    paused_until: [u64; NODES],
}

/// What became of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) broken: Option<String>,
    pub(super) counts: BTreeMap<&'static str, u64>,
}

pub(super) fn run(seed: u64, broken: Option<Broken>) -> Outcome {
    let mut random = Random::new(seed);
    let mut world = World {
        processes: (0..NODES).map(|_| Process::new(&mut random, START)).collect(),
        now: START,
        random,
        server: Server::default(),
        db: (0..KEYS).map(|key| (key, 0)).collect(),
        promises: Promises::default(),
        counts: BTreeMap::new(),
        broken,
        replica: Server::default(),
        queue: BTreeMap::new(),
        mortal: seed % 4 == 3,
        lives: [0; NODES],
        drawn: 0,
        buses: [Bus::default(); NODES],
        unreachable_until: [0; NODES],
        paused_until: [0; NODES],
    };
    for n in 0..NODES {
        for event in [Event::Up(n), Event::Tick(n), Event::Use(n)] {
            world.after(1, event);
        }
    }
    world.after(200, Event::Fault);
    world.after(50, Event::Replicate);
    world.after(FAULTS + PEACE, Event::LastReads);
    while let Some(((at, _), (life, event))) = world.queue.pop_first() {
        if life.is_some_and(|(n, life)| world.lives[n] != life) {
            continue;
        }
        world.now = at;
        world.happen(event);
        if world.promises.broken.is_some() || at > START + FAULTS + PEACE + 1_000 {
            break;
        }
    }
    if world.promises.broken.is_none() {
        world.promises.finished();
    }
    Outcome { broken: world.promises.broken, counts: world.counts }
}

impl World {
    pub(super) fn broken(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A number that is never drawn twice.
    pub(super) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    pub(super) fn link(&mut self) -> Nonce {
        Nonce::from(self.draw())
    }

    pub(super) fn give(&mut self, n: usize, read: Read, version: u64, kept: bool) {
        self.count("reads");
        if read.last && version != self.db[&read.key] {
            let newest = self.db[&read.key];
            self.promises
                .fail(format!("G6: node {n} reads version {version} of {}, not {newest}, in the end", read.key));
        }
        self.promises.returned(n, read, version, kept, self.now);
    }

    fn after(&mut self, delay: u64, event: Event) {
        let seq = self.draw();
        let of = match event {
            Event::Use(n)
            | Event::Evict(n, ..)
            | Event::Commit(n, ..)
            | Event::Tick(n)
            | Event::Reply(n, _)
            | Event::SourceRead(n, _)
            | Event::Loaded(n, _)
            | Event::Up(n) => Some((n, self.lives[n])),
            _ => None,
        };
        self.queue.insert((self.now + delay, seq), (of, event));
    }

    /// Mostly a millisecond or two; now and then longer than anybody waits.
    fn latency(&mut self) -> u64 {
        match self.random.below(100) {
            0 => self.random.below(2 * FRESH_FOR),
            1..=9 => self.random.below(40),
            _ => 1 + self.random.below(3),
        }
    }

    pub(super) fn faulty(&self) -> bool {
        self.now < START + FAULTS
    }

    pub(super) fn send(&mut self, n: usize, command: Command) {
        if self.now < self.unreachable_until[n] {
            return self.after(1, Event::Reply(n, Reply::Failed(command)));
        }
        if self.faulty() && self.random.one_in(200) {
            return self.after(TIMEOUT, Event::Reply(n, Reply::Failed(command)));
        }
        let latency = self.latency();
        self.after(latency, Event::Arrive(n, self.lives[n], command));
    }

    pub(super) fn start_loading(&mut self, n: usize, id: FlightId) {
        let delay = if self.random.one_in(20) { self.random.below(300) } else { self.random.below(20) };
        self.after(delay, Event::SourceRead(n, id));
    }

    pub(super) fn after_begin(&mut self, n: usize, key: Key, intent: Nonce, ends: Option<u64>) {
        let (delay, put) = (self.random.below(60), self.random.one_in(2));
        self.after(delay, Event::Commit(n, key, intent, ends, put));
    }

    pub(super) fn after_commit(&mut self, n: usize, body: Body, versions: Vec<(Key, u64)>, written: Write) {
        let delay = self.random.below(10);
        self.after(delay, Event::Evict(n, body, versions, written));
    }

    /// A version was committed under an intent. Where the server may die that may be lost.
    pub(super) fn guard(&mut self, key: Key, version: u64, ends: u64) {
        if self.mortal {
            self.after(ends - self.now, Event::Guarded(key, version));
        }
    }

    pub(super) fn fence(&mut self, n: usize) {
        let (now, connection) = (self.now, self.buses[n].connection);
        let ticket = self.processes[n].node.fence_sent(now);
        let latency = self.latency();
        self.after(latency, Event::Arrive(n, self.lives[n], Command::Fence { connection, ticket }));
    }

    fn happen(&mut self, event: Event) {
        if let Event::Use(n)
        | Event::Evict(n, ..)
        | Event::Commit(n, ..)
        | Event::Tick(n)
        | Event::Reply(n, _)
        | Event::Push(n, ..)
        | Event::Up(n)
        | Event::Loaded(n, _) = event
            && self.now < self.paused_until[n]
        {
            let delay = self.paused_until[n] - self.now;
            return self.after(delay, event);
        }
        match event {
            Event::Use(n) => self.use_once(n),
            Event::Evict(n, body, versions, written) => self.evict(n, body, versions, written),
            Event::Commit(n, key, intent, ends, put) => self.commit_under(n, key, intent, ends, put),
            Event::Guarded(key, version) => {
                if let Some(older) = self.server.guarded(key, version, self.now) {
                    self.promises
                        .fail(format!("G1: {key} has version {older}, {version} was committed under an intent"));
                }
                self.promises.guarded(key, version, self.now);
            }
            Event::Tick(n) => {
                let effects = self.processes[n].node.tick(self.now);
                self.apply(n, effects);
                self.after(HEARTBEAT / 2, Event::Tick(n));
            }
            Event::Arrive(n, life, command) => self.arrive(n, life, command),
            Event::Reply(n, reply) => self.reply(n, reply),
            Event::SourceRead(n, id) => {
                if self.source_read(n, id) {
                    let delay = self.random.below(30);
                    self.after(delay, Event::Loaded(n, id));
                }
            }
            Event::Loaded(n, id) => self.loaded(n, id),
            Event::Push(n, connection, pushed) if connection == self.buses[n].connection => self.pushed(n, pushed),
            Event::Push(..) => {}
            Event::Up(n) => {
                self.buses[n].connection += 1;
                self.buses[n].up = true;
                let effects = self.processes[n].node.up(self.now);
                self.apply(n, effects);
            }
            Event::Fault => {
                if self.faulty() {
                    self.fault();
                    let delay = 20 + self.random.below(400);
                    self.after(delay, Event::Fault);
                }
            }
            Event::Replicate => {
                self.replica = self.server.clone();
                let delay = 1 + self.random.below(100);
                self.after(delay, Event::Replicate);
            }
            Event::LastReads => (0..NODES).for_each(|n| (0..KEYS).for_each(|key| self.read(n, key, true))),
        }
    }

    fn use_once(&mut self, n: usize) {
        let key = self.random.below(u64::from(KEYS)) as Key;
        match self.random.below(100) {
            0 if self.faulty() => self.commit(n, key, true),
            1..=5 if self.faulty() => self.commit(n, key, false),
            6..=8 if self.faulty() => self.begin(n, key),
            9..=11 => {
                self.processes[n].memory.remove(&key);
            }
            _ => self.read(n, key, false),
        }
        let delay = 1 + self.random.below(8);
        self.after(delay, Event::Use(n));
    }

    fn pushed(&mut self, n: usize, pushed: Pushed) {
        let node = &mut self.processes[n].node;
        let effects = match pushed {
            Pushed::Message(partition, message) => node.message(partition, &message, self.now),
            Pushed::Fence(mut ticket, mut marks) => {
                if self.broken == Some(Broken::FenceAtReply) {
                    ticket = ticket.asked_at(self.now);
                }
                if self.broken == Some(Broken::FenceIgnoresMissing) {
                    for partition in [Partition::Meta, Partition::Keys] {
                        marks[partition as usize] = node.mark(partition).unwrap_or(marks[partition as usize]);
                    }
                }
                node.fence_answered(ticket, marks, self.now)
            }
        };
        self.apply(n, effects);
    }

    fn push(&mut self, n: usize, pushed: Pushed) {
        let latency = self.latency();
        let bus = &mut self.buses[n];
        if bus.up {
            bus.last = bus.last.max(self.now + latency);
            let (delay, connection) = (bus.last - self.now, bus.connection);
            self.after(delay, Event::Push(n, connection, pushed));
        }
    }

    fn cut(&mut self, n: usize) {
        if std::mem::replace(&mut self.buses[n].up, false) {
            self.buses[n].connection += 1;
            self.processes[n].node.down();
            let delay = if self.random.one_in(3) { self.random.below(800) } else { 1 + self.random.below(20) };
            self.after(delay, Event::Up(n));
        }
    }

    /// A node dies, and another takes its place. What it has sent arrives all the same.
    pub(super) fn die(&mut self, n: usize) {
        self.count("deaths");
        self.lives[n] += 1;
        self.processes[n] = Process::new(&mut self.random, self.now);
        self.promises.started_anew(n);
        self.buses[n].connection += 1;
        self.buses[n].up = false;
        (self.paused_until[n], self.unreachable_until[n]) = (0, 0);
        for event in [Event::Up(n), Event::Tick(n), Event::Use(n)] {
            let delay = 1 + self.random.below(50);
            self.after(delay, event);
        }
    }

    fn fault(&mut self) {
        let n = self.random.below(NODES as u64) as usize;
        let key = self.random.below(u64::from(KEYS)) as Key;
        match self.random.below(16) {
            0..=3 => self.cut(n),
            4 | 5 => self.unreachable_until[n] = self.now + self.random.below(600),
            6 | 7 => self.paused_until[n] = self.now + self.random.below(5 * FRESH_FOR),
            8..=11 => self.server.lose(key),
            12 => {
                let silently = self.broken(Broken::FloorsLostSilently);
                let epoch = self.link();
                self.server.lose_floors((!silently).then_some(epoch));
            }
            13.. if self.mortal => self.die(n),
            13 => {
                self.count("restarts");
                self.server.lose_everything();
                (0..NODES).for_each(|n| self.cut(n));
            }
            _ => {
                self.count("failovers");
                self.server = self.replica.clone();
                let Self { processes, server, promises, now, .. } = self;
                let flying = processes.iter_mut().flat_map(Process::reads);
                promises.failed_over(&server.covered, flying, *now);
                // Some stand behind something that hides it.
                for n in 0..NODES {
                    if !self.random.one_in(4) {
                        self.cut(n);
                    }
                }
            }
        }
    }
}
