//! The server, what effects do to the node under test, and what is claimed.

use std::sync::{Arc, LazyLock};

use super::state::{
    Flight, Flights, Intents, Link, NOBODY, OTHERS, Replay, Required, Server, Slot, Stage, State, Wire, Writer,
};
use super::{Broken, Fleet, I1, I2, I3, I4, I5, Kind, NOW};
use crate::coherence::Table;
use crate::coherence::deferred::{Body, Text};
use crate::coherence::effect::Effect;
use crate::coherence::floors::Born;
use crate::coherence::history::Message;
use crate::coherence::node::{Mark, Node, Nonce, Partition, Timing};
use crate::key::Stored;

pub(crate) const CACHE: &str = "c";

static KEYS: LazyLock<Arc<[Text]>> = LazyLock::new(|| [Text { cache: CACHE.into(), key: (*b"k").into() }].into());
static ELSEWHERE: LazyLock<Arc<[Text]>> =
    LazyLock::new(|| [Text { cache: CACHE.into(), key: (*b"other").into() }].into());
static NAME: LazyLock<Arc<str>> = LazyLock::new(|| CACHE.into());

pub(crate) fn key() -> Stored<u8> {
    Stored { hash: 0, key: 0 }
}

impl Server {
    fn new() -> Self {
        Self { slot: Slot::Absent, log: Vec::new(), incarnation: 0, epoch: 0, floor: 0, invalidated: 0 }
    }
}

impl Fleet {
    pub(super) fn start(&self) -> State {
        let timing = Timing {
            fresh_for: self.config.fresh_for,
            heartbeat: 0,
            lag: 0,
            witness_for: u64::MAX,
            replay_others_after: 0,
        };
        let mut state = State {
            db: 0,
            server: Server::new(),
            replica: None,
            wires: Default::default(),
            node: Node::new(timing, 10, NOW),
            table: Flights { table: Table::default(), write: 0 },
            memory: None,
            flights: [None; 2],
            others: None,
            fence: None,
            reading: false,
            replay: None,
            own: Writer::Idle,
            other: Writer::Idle,
            writes: self.config.writes,
            failovers: self.config.failovers,
            floors_lost: self.config.floors_lost,
            elsewhere: self.config.elsewhere,
            acknowledged: [None; 4],
            own_acknowledged: 0,
            seen: 0,
            lost: Default::default(),
            others_owe: false,
            witnessed: false,
            window: false,
            bad: 0,
        };
        if self.config.failovers > 0 {
            state.replica = Some(state.server.clone());
        }
        let effects = state.node.up(NOW);
        self.apply(&mut state, effects);
        let ticket = state.node.fence_sent(NOW);
        let effects = state.node.fence_answered(ticket, self.marks(&state.server), NOW);
        self.apply(&mut state, effects);
        self.settle(&mut state);
        state
    }

    pub(super) fn partition(&self) -> Partition {
        if self.config.kind == Kind::Clear { Partition::Meta } else { Partition::Keys }
    }

    pub(super) fn body(&self) -> Body {
        if self.config.kind == Kind::Clear { Body::Clear(Arc::clone(&NAME)) } else { Body::Keys(Arc::clone(&KEYS)) }
    }

    fn nonce(&self, epoch: u8, number: u64, link: Option<Link>) -> Nonce {
        let epoch = 1 + Nonce::from(epoch);
        let Some(link) = link else { return epoch };
        let incarnation = if self.broken(Broken::NoChain) { 0 } else { link.incarnation };
        epoch * 1_000 + Nonce::from(number) * 16 + Nonce::from(incarnation)
    }

    pub(super) fn mark(&self, server: &Server, partition: Partition) -> Mark {
        let active = partition == self.partition();
        // Only the floors have an epoch of their own that can be lost.
        let epoch = if partition == Partition::Meta { server.epoch } else { 0 };
        let number = if active { server.log.len() as u64 } else { 0 };
        let link = server.log.last().copied().filter(|_| active);
        Mark { epoch: self.nonce(epoch, 0, None), number, chain: self.nonce(epoch, number, link) }
    }

    pub(super) fn marks(&self, server: &Server) -> [Mark; 2] {
        [Partition::Meta, Partition::Keys].map(|partition| self.mark(server, partition))
    }

    pub(super) fn message(&self, wire: Wire) -> Message {
        let Wire { number, link, previous, epoch } = wire;
        Message {
            mark: Mark { epoch: self.nonce(epoch, 0, None), number, chain: self.nonce(epoch, number, Some(link)) },
            previous: self.nonce(epoch, number - 1, previous),
            own: link.own,
            body: if link.elsewhere { Body::Keys(Arc::clone(&ELSEWHERE)) } else { self.body() },
        }
    }

    pub(super) fn wire(server: &Server, number: u64) -> Wire {
        let at = number as usize - 1;
        let previous = at.checked_sub(1).map(|before| server.log[before]);
        Wire { number, link: server.log[at], previous, epoch: server.epoch }
    }

    pub(super) fn born(&self, server: &Server) -> Born {
        Born::at(self.mark(server, Partition::Meta))
    }

    /// Takes a number and publishes; what is left in the slot is the caller's.
    pub(super) fn bump(&self, s: &mut State, own: bool) -> Mark {
        s.server.log.push(Link { incarnation: s.server.incarnation, own, elsewhere: false });
        let number = s.server.log.len() as u64;
        if self.config.bus {
            s.wires.insert(Self::wire(&s.server, number));
        }
        if self.config.kind == Kind::Clear {
            s.server.floor = number;
        }
        self.mark(&s.server, self.partition())
    }

    /// An invalidation of everything committed so far is executed; it ends the intent of a writer.
    pub(super) fn invalidate(&self, s: &mut State, own: bool, ended: Option<bool>) -> Mark {
        if self.config.kind != Kind::Clear {
            self.remove(s, ended);
        }
        s.server.invalidated = s.db;
        self.restore(s);
        self.bump(s, own)
    }

    /// What is in the slot goes, but for the intents of others.
    pub(super) fn remove(&self, s: &mut State, ended: Option<bool>) {
        let mut of = self.standing(s);
        if let Some(own) = ended {
            of[usize::from(!own)] = false;
        }
        s.server.slot = if of == [false; 2] { Slot::Absent } else { Slot::Intents(Intents { of, touched: true }) };
    }

    /// Whose intents whoever comes now finds, and leaves.
    pub(super) fn standing(&self, s: &State) -> [bool; 2] {
        match s.server.slot {
            Slot::Intents(intents) if !self.broken(Broken::TakesIntents) => intents.of,
            _ => [false; 2],
        }
    }

    /// What a failover had lost and is executed again is acknowledged again from here on.
    pub(super) fn restore(&self, s: &mut State) {
        let invalidated = s.server.invalidated;
        for version in 1..=invalidated {
            if s.lost[0].remove(&version) | s.lost[1].remove(&version) {
                s.acknowledged[version as usize] = Some(0);
                self.reach("what was lost is sent again");
            }
        }
        if s.lost[1].is_empty() {
            s.others_owe = false;
        }
    }

    pub(super) fn is_synced(&self, s: &State) -> bool {
        self.broken(Broken::NoFence) || s.node.is_synced(NOW)
    }

    pub(super) fn required(&self, s: &State) -> Required {
        let due =
            |version: &u8| s.acknowledged[*version as usize].is_some_and(|age| u64::from(age) > self.config.fresh_for);
        let bounded = (1..=s.db).filter(due).max().unwrap_or(0);
        if s.window {
            return Required { bounded, ..Required::default() };
        }
        // A failover may step back to an older version that was not invalidated yet (G1).
        let seen = if s.server.incarnation > 0 { s.seen.min(s.server.invalidated) } else { s.seen };
        Required { bounded, own: s.own_acknowledged, seen }
    }

    /// A read returns. What is `uncached` is not claimed to be monotonic (R11, R13).
    pub(super) fn give(&self, s: &mut State, version: u8, required: Required, uncached: bool) {
        if version < required.bounded {
            s.bad |= I2;
        }
        if version < required.own {
            s.bad |= I3;
        }
        if !uncached && self.config.kind != Kind::Clear {
            if version < required.seen {
                s.bad |= I4;
            }
            if !s.window {
                s.seen = s.seen.max(version);
            }
        }
    }

    pub(super) fn acknowledge(&self, s: &mut State, version: u8, own: bool) {
        if own {
            s.own_acknowledged = s.own_acknowledged.max(version);
        }
        if version > s.server.invalidated {
            // The server that executed it is no more.
            s.lost[usize::from(!own)].insert(version);
            s.window = true;
        } else {
            s.acknowledged[version as usize] = Some(0);
        }
    }

    pub(super) fn apply(&self, s: &mut State, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Kill(keys) if keys == *ELSEWHERE => {}
                Effect::Kill(_) | Effect::Clear(_) => self.kill(s, true),
                Effect::RaiseFloor => {
                    self.reach("the floor is raised");
                    s.memory = None;
                    if !self.broken(Broken::FloorSparesFlights) {
                        s.table.clear(2);
                        s.flights.iter_mut().flatten().for_each(|flight| flight.tainted = true);
                    }
                }
                Effect::LoadFloors => self.load_floors(s),
                Effect::ReadLog(..) => s.reading = true,
                Effect::Replay(_) if self.broken(Broken::NoReplay) => {}
                Effect::Replay(_) => {
                    s.replay = Some(Replay { generation: s.node.generation(), executed: None });
                }
                Effect::Synced(_) | Effect::SendFence => {}
            }
        }
    }

    pub(super) fn kill(&self, s: &mut State, flights: bool) {
        s.memory = None;
        if flights {
            s.table.evict(&key(), 2);
            s.flights.iter_mut().flatten().for_each(|flight| flight.tainted = true);
        }
    }

    pub(super) fn load_floors(&self, s: &mut State) {
        let floor = Some((Arc::clone(&NAME), s.server.floor)).filter(|(_, floor)| *floor > 0);
        let effects = s.node.floors_loaded(s.node.floors_asked(NOW), self.mark(&s.server, Partition::Meta), floor, NOW);
        self.apply(s, effects);
    }

    /// A flight is over: nobody can fill its lease any more.
    pub(super) fn end(&self, s: &mut State, token: u8) {
        if self.broken(Broken::TokenPerNode) && token < OTHERS {
            return;
        }
        for server in [Some(&mut s.server), s.replica.as_mut()].into_iter().flatten() {
            if server.slot == Slot::Lease(token) {
                server.slot = Slot::Lease(NOBODY);
            }
        }
    }

    pub(super) fn token(&self, flight: usize) -> u8 {
        if self.broken(Broken::TokenPerNode) { 0 } else { flight as u8 }
    }

    /// What is always claimed, and what makes states that behave alike alike.
    pub(super) fn settle(&self, s: &mut State) {
        s.node.validate();
        s.table.validate();
        let fresh = |version| version >= s.server.invalidated;
        if let Slot::Value(version, _) = s.server.slot
            && self.config.kind != Kind::Clear
            && !fresh(version)
        {
            s.bad |= I1;
        }
        let partition = self.partition();
        let caught_up = s.node.newest(partition) == Some(self.mark(&s.server, partition))
            && (!s.node.is_owing() || self.broken(Broken::NoReplay))
            && !s.node.is_waiting_to_repeat()
            && s.replay.is_none();
        let others_lost = !s.lost[1].is_empty() && !s.others_owe && (!self.config.issuer_dies || s.witnessed);
        if caught_up && s.node.is_synced(NOW) && (!s.lost[0].is_empty() || others_lost) {
            s.bad |= I5;
        }
        // What was under way when the server died may still arrive.
        let quiet = s.flights.iter().all(Option::is_none)
            && s.wires.is_empty()
            && s.fence.is_none()
            && matches!(s.own, Writer::Idle | Writer::Committed(_));
        if s.window && caught_up && quiet && s.lost.iter().all(|lost| lost.is_empty()) {
            s.window = false;
            s.seen = 0;
        }
        let generation = s.node.canonicalize(self.config.kind == Kind::Clear);
        if self.config.broken != Some(Broken::RetiredMayFill) {
            s.flights.iter_mut().flatten().for_each(|flight| flight.tainted = false);
        }
        let since = |captured: &mut u64| *captured = if *captured == generation { 0 } else { u64::MAX };
        s.flights.iter_mut().flatten().for_each(|flight| since(&mut flight.generation));
        s.replay.iter_mut().for_each(|replay| since(&mut replay.generation));
        if let Writer::Sent { generation, .. } | Writer::Executed { generation, .. } = &mut s.own {
            since(generation);
        }
        if let Some((ticket, _)) = &mut s.fence {
            *ticket = ticket.since(generation);
        }
    }

    pub(super) fn flight(&self, s: &State, stage: Stage) -> Flight {
        let required = self.required(s);
        Flight { stage, generation: s.node.generation(), born: None, tainted: false, required }
    }
}
