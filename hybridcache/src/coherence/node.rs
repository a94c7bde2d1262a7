//! What a node knows of the fleet: how far it has heard, and whether it may vouch for its memory.
//!
//! Each method is one event; what it returns is what the caller has to do about it, in that order. No clock, no lock, no
//! randomness of its own: instants are the caller's (nanoseconds of one monotonic clock), and the caller's lock makes an
//! event one step. The rule numbers are those of the protocol: see `hybridcache/docs/decisions/0001`, `0013` and `0014`.
//!
//! What the caller owes this: messages of one connection in order, and none of a connection after the next
//! [`up`](Node::up); the answer of a fence after every message published before it (it comes on the same connection); a
//! [`log_answered`](Node::log_answered) for every [`Effect::ReadLog`], empty if it failed; a [`replayed`](Node::replayed) for every
//! [`Effect::Replay`].

use std::sync::Arc;

use super::deferred::{Body, Deferred, EVERY_CACHE};
use super::effect::Effect;
use super::floors::Floors;
use super::history::{Heard, History, Message, Standing};

#[cfg(test)]
mod inspect;
mod queries;
mod repair;
#[cfg(test)]
mod tests;

pub(crate) use crate::nonce::Nonce;

/// A part of the key space with a bus of its own. There is one for keys, and one for what concerns whole caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Partition {
    /// Clears (and tags).
    Meta,
    /// Keys.
    Keys,
}

/// Where a partition stands: which message is its newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    /// Drawn when the partition came to be, or came to be anew.
    pub(crate) epoch: Nonce,
    /// The number of the newest message; 0 if there was none in this epoch.
    pub(crate) number: u64,
    /// The chain's newest link: drawn by whoever sent the newest message, or the epoch itself where there was none.
    pub(crate) chain: Nonce,
}

/// How long things last. All in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Timing {
    /// D: for how long after it asked a node may vouch for its memory.
    pub(crate) fresh_for: u64,
    /// H: how often it asks.
    pub(crate) heartbeat: u64,
    /// By how much the clock that a hit reads may lag the one that events are stamped with.
    pub(crate) lag: u64,
    /// How long invalidations are witnessed.
    pub(crate) witness_for: u64,
    /// How long this node leaves it to their senders to repeat what a failover lost. To be drawn at random, so that not all nodes
    /// repeat it at once.
    pub(crate) replay_others_after: u64,
}

/// How many intervals of [`Timing::fresh_for`] without a read it takes until a node falls silent (R15).
const IDLE_INTERVALS: u64 = 10;

/// A fence that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    asked: u64,
    generation: u64,
    /// The newest numbers known at that time.
    numbers: [u64; 2],
}

impl Ticket {
    /// What its answer vouches for counts from here: R5 broken, for who tests that somebody notices.
    pub(crate) fn asked_at(self, asked: u64) -> Self {
        Self { asked, ..self }
    }
}

/// What one process knows of its fleet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    timing: Timing,
    connected: bool,
    /// Raised whenever what was asked before may have been answered by another server than the one of now.
    generation: u64,
    buses: [Bus; 2],
    floors: Option<Floors>,
    /// What this node has to send before it may believe what the remote tier holds of it.
    owed: Deferred,
    /// The end of a past of the meta partition that a failover cut off. Records may be born by its numbers, which are given anew.
    outrun: Option<Mark>,
    /// What others sent and a failover may have lost, to be repeated at `repeat_at` unless they do.
    others: Deferred,
    repeat_at: u64,
    last_replay: u64,
    last_fence: u64,
    last_read: u64,
    /// What the caller was told.
    told: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Bus {
    history: History,
    synced_at: u64,
    /// The log is being read, and is to reach at least this number.
    reading_to: Option<u64>,
    /// The newest fence that found messages missing: what it found, and when it was asked.
    awaited: Option<(u64, Mark)>,
}

impl Node {
    /// A node that has yet to hear of anything. `deferred` is how many keys of evictions it keeps that cannot be sent.
    pub(crate) fn new(timing: Timing, deferred: usize, now: u64) -> Self {
        Self {
            timing,
            connected: false,
            generation: 0,
            buses: [Bus::default(), Bus::default()],
            floors: None,
            owed: Deferred::new(deferred),
            outrun: None,
            others: Deferred::new(deferred),
            repeat_at: 0,
            last_replay: 0,
            last_fence: 0,
            last_read: now,
            told: 0,
        }
    }

    /// The bus is up, on a new connection: what was published before it may be lost.
    pub(crate) fn up(&mut self, now: u64) -> Vec<Effect> {
        self.connected = true;
        self.reconnect();
        let mut effects = vec![Effect::SendFence];
        self.last_fence = now;
        self.replay(now, &mut effects);
        effects
    }

    /// The bus is gone. Memory may be served on: what vouches for it is when was asked, not that the connection lasts.
    pub(crate) fn down(&mut self) {
        self.connected = false;
        self.reconnect();
    }

    /// A server said that it is not, or no longer, the one to ask (`READONLY`, …).
    pub(crate) fn refused(&mut self, now: u64) -> Vec<Effect> {
        self.fence_refused();
        self.ask(now)
    }

    /// It said so to a fence. The next is for the heartbeat: of a master that has lost its replicas each would be refused, and ask for one
    /// more, as fast as it answers.
    pub(crate) fn fence_refused(&mut self) {
        self.reconnect();
    }

    /// R12, R5: neither replies nor fences of before count.
    fn reconnect(&mut self) {
        self.generation += 1;
        for bus in &mut self.buses {
            (bus.reading_to, bus.awaited) = (None, None);
        }
    }

    /// R4: a message of the bus.
    pub(crate) fn message(&mut self, partition: Partition, message: &Message, now: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.hear(partition, message, now, &mut effects);
        let bus = &mut self.buses[partition as usize];
        if bus.history.has_hole() && bus.reading_to.is_none() {
            bus.read_log(partition, message.mark.number, &mut effects);
        }
        self.tell(&mut effects);
        effects
    }

    fn hear(&mut self, partition: Partition, message: &Message, now: u64, effects: &mut Vec<Effect>) {
        let heard = self.buses[partition as usize].history.hear(message, now);
        // Own messages that were acknowledged before were applied then (R9), and what was loaded since is newer.
        if heard != Heard::Known {
            self.apply(message.mark, &message.body, effects);
        }
        if heard == Heard::Foreign {
            self.leave(partition, true, effects);
            effects.extend(self.ask(now));
        } else if !message.own {
            self.others.remove(&message.body);
        }
    }

    fn apply(&mut self, mark: Mark, body: &Body, effects: &mut Vec<Effect>) {
        match body {
            Body::Keys(keys) => effects.push(Effect::Kill(Arc::clone(keys))),
            Body::Clear(name) => {
                // A clear of another epoch is not on the scale of these floors, and what they judge may be dead by it.
                self.floors = self.floors.take().and_then(|floors| floors.raised(name, mark));
                if **name == *EVERY_CACHE {
                    self.cleared(mark);
                }
                effects.push(Effect::Clear(Arc::clone(name)));
            }
            Body::Floor => effects.push(Effect::RaiseFloor),
        }
    }

    /// A fence is about to be sent: to be called before its first byte is (R5).
    pub(crate) fn fence_sent(&mut self, now: u64) -> Ticket {
        self.last_fence = now;
        self.ticket(now)
    }

    /// The floors are about to be asked for: to be called before the first byte is.
    pub(crate) fn floors_asked(&self, now: u64) -> Ticket {
        self.ticket(now)
    }

    fn ticket(&self, now: u64) -> Ticket {
        Ticket {
            asked: now,
            generation: self.generation,
            numbers: self.buses.each_ref().map(|bus| bus.history.newest()),
        }
    }

    /// R5: where the partitions stood, `[meta, keys]`. One that failed needs no event: the next heartbeat asks again.
    pub(crate) fn fence_answered(&mut self, ticket: Ticket, marks: [Mark; 2], now: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if ticket.generation != self.generation {
            return effects;
        }
        for (partition, mark) in [Partition::Meta, Partition::Keys].into_iter().zip(marks) {
            let at_send = ticket.numbers[partition as usize];
            match self.buses[partition as usize].history.compare(mark, at_send) {
                Standing::Apart => self.join(partition, mark, (ticket.asked, at_send), now, &mut effects),
                Standing::Forked => {
                    self.leave(partition, true, &mut effects);
                    // Of what it had of another past nothing counts as done since.
                    self.join(partition, mark, (ticket.asked, u64::MAX), now, &mut effects);
                }
                Standing::Abreast => self.buses[partition as usize].sync(ticket.asked),
                Standing::Behind => {
                    let bus = &mut self.buses[partition as usize];
                    bus.awaited = Some((ticket.asked, mark));
                    if bus.reading_to.is_none() {
                        bus.read_log(partition, mark.number, &mut effects);
                    }
                }
                Standing::Stale => {}
            }
        }
        // Also where loading them has failed before.
        if !self.has_floors() && self.meta().mark().is_some() {
            effects.push(Effect::LoadFloors);
        }
        self.replay(now, &mut effects);
        self.tell(&mut effects);
        effects
    }

    /// What the log of a partition has, asked for in this generation; nothing, if it could not be read. What the chain does not prove to
    /// be this node's own past with nothing missing is no past of its own (R4, R12).
    ///
    /// Interleaving that the generation defeats: the log is asked for; a failover loses the end of it, and this node joins the new
    /// past; the answer comes late, from the old one; what others evicted there passes for repeated, and nobody repeats it.
    pub(crate) fn log_answered(
        &mut self,
        generation: u64,
        partition: Partition,
        messages: &[Message],
        now: u64,
    ) -> Vec<Effect> {
        let messages = if generation == self.generation { messages } else { &[] };
        let mut effects = Vec::new();
        for message in messages {
            self.hear(partition, message, now, &mut effects);
        }
        let bus = &mut self.buses[partition as usize];
        if let Some(target) = bus.reading_to.take() {
            let reached = bus.history.number();
            if reached < target {
                self.leave(partition, false, &mut effects);
                effects.extend(self.ask(now));
            } else {
                if let Some((asked, mark)) = bus.awaited.take() {
                    match bus.history.compare(mark, 0) {
                        Standing::Abreast => bus.sync(asked),
                        Standing::Behind => {
                            bus.awaited = Some((asked, mark));
                            bus.read_log(partition, mark.number, &mut effects);
                        }
                        // The next fence will see it, too.
                        Standing::Forked | Standing::Apart | Standing::Stale => effects.extend(self.ask(now)),
                    }
                }
                let bus = &mut self.buses[partition as usize];
                if bus.history.has_hole() && bus.reading_to.is_none() {
                    bus.read_log(partition, reached + 1, &mut effects);
                }
            }
        }
        self.tell(&mut effects);
        effects
    }

    /// The floors, with where the meta partition stood when they were read.
    pub(crate) fn floors_loaded(
        &mut self,
        ticket: Ticket,
        mark: Mark,
        table: impl IntoIterator<Item = (Arc<str>, u64)>,
        now: u64,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let at_send = ticket.numbers[Partition::Meta as usize];
        let forked = self.meta().compare(mark, at_send) == Standing::Forked;
        if forked && ticket.generation == self.generation {
            self.leave(Partition::Meta, true, &mut effects);
            effects.extend(self.ask(now));
        }
        // An answer of before must not take the place of a newer one.
        let newer = |known: &Floors| known.mark().epoch == mark.epoch && known.mark().number > mark.number;
        if !self.floors.as_ref().is_some_and(newer) {
            let loaded = Floors::new(ticket.asked, mark, table.into_iter().collect());
            // What was heard, or acknowledged, while nothing was known to raise.
            let floors = self.meta().after(mark).try_fold(loaded, |floors, (at, body)| match body {
                Body::Clear(name) => floors.raised(name, at),
                Body::Keys(_) | Body::Floor => Some(floors),
            });
            self.floors = floors;
        }
        self.tell(&mut effects);
        effects
    }

    /// The server acknowledged an invalidation of this node's own that was sent in `generation` (R9). `false`: the answer is of a
    /// server that is not, or may not be, the one of now; it counts for nothing, send it again (R12). The effects are to be done
    /// either way, and before anything else is awaited.
    pub(crate) fn acknowledged(
        &mut self,
        generation: u64,
        partition: Partition,
        mark: Mark,
        body: &Body,
        now: u64,
    ) -> (bool, Vec<Effect>) {
        let mut effects = Vec::new();
        if generation != self.generation {
            return (false, effects);
        }
        // Whatever the numbers: what is in memory or under way may have been read before.
        self.apply(mark, body, &mut effects);
        // Interleaving that this defeats: executed, its server dies, another message of the new one takes its number and is heard
        // here without a hole, then the answer comes.
        let counts = self.buses[partition as usize].history.acknowledge(mark, body, now);
        if !counts {
            self.leave(partition, true, &mut effects);
            effects.extend(self.ask(now));
        }
        self.tell(&mut effects);
        (counts, effects)
    }

    /// Memory was asked for something, in vain or not: a node that is read is kept in sync (R15).
    pub(crate) fn read(&mut self, now: u64) -> Vec<Effect> {
        let idle = self.is_idle(now);
        self.last_read = now;
        if idle { self.ask(now) } else { Vec::new() }
    }

    /// Time passed. To be called at least every [`Timing::heartbeat`].
    pub(crate) fn tick(&mut self, now: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        for bus in &mut self.buses {
            bus.history.forget_before(now.saturating_sub(self.timing.witness_for));
        }
        if !self.others.is_empty() && self.repeat_at <= now {
            self.others.drain().iter().for_each(|body| self.owed.add(body));
        }
        if now.saturating_sub(self.last_replay) >= self.timing.heartbeat {
            self.replay(now, &mut effects);
        }
        if now.saturating_sub(self.last_fence) >= self.timing.heartbeat && !self.is_idle(now) {
            effects.extend(self.ask(now));
        }
        effects
    }

    fn meta(&self) -> &History {
        &self.buses[Partition::Meta as usize].history
    }

    /// Whether every clear up to the watermark of the meta partition is in the table.
    fn has_floors(&self) -> bool {
        let floors = self.floors.as_ref().map(Floors::mark);
        floors
            .zip(self.meta().mark())
            .is_some_and(|(floors, meta)| floors.epoch == meta.epoch && floors.number >= self.meta().joined())
    }

    fn is_idle(&self, now: u64) -> bool {
        now.saturating_sub(self.last_read) > self.timing.fresh_for.saturating_mul(IDLE_INTERVALS)
    }

    fn ask(&mut self, now: u64) -> Vec<Effect> {
        self.last_fence = now;
        if self.connected { vec![Effect::SendFence] } else { Vec::new() }
    }

    fn tell(&mut self, effects: &mut Vec<Effect>) {
        let [meta, keys] = self.buses.each_ref().map(|bus| bus.synced_at);
        let synced = if self.has_floors() { meta.min(keys) } else { 0 };
        if synced != self.told {
            self.told = synced;
            effects.push(Effect::Synced(synced));
        }
    }
}

impl Bus {
    fn sync(&mut self, asked: u64) {
        self.synced_at = self.synced_at.max(asked);
    }

    fn read_log(&mut self, partition: Partition, target: u64, effects: &mut Vec<Effect>) {
        self.reading_to = Some(target);
        effects.push(Effect::ReadLog(partition, self.history.number()));
    }
}
