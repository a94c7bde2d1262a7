//! What may happen next, and what it does: each step is one event of the core, or one of its environment.

use super::fleet::{CACHE, key};
use super::state::{Action, Flight, OTHERS, Replay, Server, Slot, Stage, State, Writer};
use super::{Broken, Config, Fleet, Kind, NOW};
use crate::coherence::floors::{Born, Verdict};
use crate::coherence::{Entered, Start};

impl Fleet {
    pub(super) fn possible(&self, s: &State, to: &mut Vec<Action>) {
        let Config { loss, reorder, log, key_loss, take_over, defer, issuer_dies, .. } = self.config;
        let mut when = |possible: bool, action| {
            if possible {
                to.push(action);
            }
        };
        let room = s.server.log.len() < self.config.messages;
        let served = s.memory.is_some() && self.is_synced(s);
        when(served, Action::Hit);
        when(!served && self.config.flights > 0, Action::Miss);
        when(s.memory.is_some(), Action::Drop);
        for (at, flight) in s.flights.iter().enumerate() {
            let Some(flight) = flight else { continue };
            when(
                true,
                match flight.stage {
                    Stage::Asked | Stage::Over(..) => Action::Get(at),
                    Stage::Found(..) => Action::Reply(at),
                    Stage::Loading { .. } => Action::Load(at),
                    Stage::Loaded(_) => Action::Fill(at),
                    Stage::Kept(_) | Stage::Rejected(_) => Action::Land(at),
                },
            );
        }
        if self.config.others {
            when(
                true,
                match s.others {
                    None => Action::OtherGet,
                    Some((None, _)) => Action::OtherLoad,
                    Some((Some(_), _)) => Action::OtherFill,
                },
            );
        }
        when(self.config.ticks, Action::Tick);
        for (at, wire) in s.wires.iter().enumerate() {
            when(at == 0 || reorder, Action::Deliver(*wire));
            when(loss, Action::Lose(*wire));
        }
        let executed = s.fence.and_then(|(_, marks)| marks).map(|marks| marks[self.partition() as usize].number);
        let early = s.wires.first().is_some_and(|wire| executed.is_some_and(|number| wire.number <= number));
        when(
            self.config.bus,
            match s.fence {
                None => Action::SendFence,
                Some((_, None)) => Action::ExecuteFence,
                Some((_, Some(_))) if early && !reorder => Action::Tick,
                Some((_, Some(_))) => Action::AnswerFence,
            },
        );
        when(s.reading && log, Action::ReadLog);
        when(s.reading, Action::FailLog);
        for own in [true, false] {
            let allowed = if own { self.config.own } else { self.config.other };
            match if own { s.own } else { s.other } {
                Writer::Idle => {
                    let first = if self.intends(own) { Action::Begin(own) } else { Action::Commit(own) };
                    when(allowed && s.writes > 0, first);
                }
                Writer::Begun => when(true, Action::Commit(own)),
                Writer::Committed(_) => {
                    when(own || room, if own { Action::Send } else { Action::Execute(false) });
                    when(self.config.dies && !own, Action::Crash);
                }
                Writer::Sent { .. } => {
                    when(room, Action::Execute(true));
                    when(defer, Action::Defer);
                }
                Writer::Executed { .. } => {
                    when(true, Action::Acknowledge);
                    when(defer, Action::Defer);
                }
                Writer::Crashed(_) => when(true, Action::IntentEnds),
            }
        }
        when(key_loss && !matches!(s.server.slot, Slot::Absent | Slot::Intents(_)), Action::LoseSlot);
        when(take_over && matches!(s.server.slot, Slot::Lease(_)), Action::LeaseEnds);
        when(s.floors_lost > 0, Action::LoseFloors);
        when(s.replica.as_ref().is_some_and(|replica| *replica != s.server), Action::Replicate);
        when(s.failovers > 0, Action::FailOver);
        when(self.config.reconnect, Action::Reconnect);
        when(s.replay.is_none() && (s.node.is_owing() || s.node.is_waiting_to_repeat()), Action::Beat);
        if let Some(replay) = s.replay {
            let executed = replay.executed.is_some();
            when(executed || room, if executed { Action::Replayed } else { Action::Replay });
            when(defer, Action::ReplayFails);
        }
        when(room && s.elsewhere > 0, Action::Elsewhere);
        when(room && s.others_owe && !issuer_dies && !self.broken(Broken::NoReplay), Action::OthersReplay);
    }

    /// `None` if nothing comes of it.
    pub(super) fn step(&self, s: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Miss => return self.miss(s),
            Action::Hit => {
                let (version, required) = (s.memory?, self.required(s));
                self.reach(if version > 0 { "memory answers with a newer version" } else { "memory answers" });
                self.give(s, version, required, false);
            }
            Action::Drop => s.memory = None,
            Action::Get(at) => self.get(s, at),
            Action::Reply(at) => self.reply(s, at),
            Action::Load(at) => self.load(s, at),
            Action::Fill(at) => self.fill(s, at),
            Action::Land(at) => self.land(s, at),
            Action::OtherGet => {
                let dead = |born| self.config.kind == Kind::Clear && born != self.born(&s.server);
                match s.server.slot {
                    Slot::Absent => {}
                    Slot::Value(_, born) if dead(born) => {}
                    _ => return None,
                }
                if !self.without_leases() {
                    s.server.slot = Slot::Lease(OTHERS);
                }
                s.others = Some((None, self.born(&s.server)));
            }
            Action::OtherLoad => s.others = s.others.map(|(_, born)| (Some(s.db), born)),
            Action::OtherFill => {
                let (version, born) = s.others.take()?;
                let may = match self.config.broken {
                    Some(Broken::NoLease) => true,
                    Some(Broken::FillIfAbsent) => s.server.slot == Slot::Absent,
                    _ => s.server.slot == Slot::Lease(OTHERS),
                };
                if may {
                    s.server.slot = Slot::Value(version?, born);
                }
                self.end(s, OTHERS);
            }
            Action::Tick => self.tick(s),
            Action::Deliver(wire) => {
                s.wires.remove(&wire);
                if self.config.issuer_dies {
                    let replicated = s.replica.as_ref().map_or(0, |replica| replica.log.len() as u64);
                    s.witnessed |= wire.link.incarnation < s.server.incarnation || wire.number > replicated;
                }
                let effects = s.node.message(self.partition(), &self.message(wire), NOW);
                self.apply(s, effects);
            }
            Action::Lose(wire) => {
                s.wires.remove(&wire);
            }
            Action::SendFence => s.fence = Some((s.node.fence_sent(NOW), None)),
            Action::ExecuteFence => s.fence = Some((s.fence?.0, Some(self.marks(&s.server)))),
            Action::AnswerFence => {
                let (mut ticket, marks) = s.fence.take()?;
                let mut marks = marks?;
                if self.broken(Broken::FenceAtReply) {
                    ticket = ticket.asked_at(NOW);
                }
                if self.broken(Broken::FenceIgnoresMissing) {
                    marks[self.partition() as usize] = s.node.mark(self.partition())?;
                }
                let effects = s.node.fence_answered(ticket, marks, NOW);
                self.apply(s, effects);
            }
            Action::ReadLog | Action::FailLog => {
                s.reading = false;
                let after = s.node.mark(self.partition()).map_or(0, |mark| mark.number);
                let all = after + 1..=s.server.log.len() as u64;
                let mut messages: Vec<_> = all.map(|number| self.message(Self::wire(&s.server, number))).collect();
                if action == Action::FailLog {
                    messages.clear();
                } else {
                    self.reach("the log fills a hole");
                }
                let effects = s.node.log_answered(s.node.generation(), self.partition(), &messages, NOW);
                self.apply(s, effects);
            }
            Action::LoseSlot | Action::LeaseEnds => s.server.slot = Slot::Absent,
            Action::LoseFloors => {
                s.floors_lost -= 1;
                s.server.floor = 0;
                if !self.broken(Broken::FloorsLostSilently) {
                    s.server.epoch += 1;
                    s.server.log.clear();
                }
            }
            Action::Reconnect => {
                s.node.down();
                (s.fence, s.reading) = (None, false);
                s.wires.clear();
                let effects = s.node.up(NOW);
                self.apply(s, effects);
            }
            Action::Replicate => s.replica = Some(s.server.clone()),
            Action::FailOver => self.fail_over(s),
            Action::Beat => {
                let effects = s.node.tick(NOW);
                self.apply(s, effects);
            }
            Action::Replay => {
                let replay = s.replay?;
                s.replay = Some(Replay { executed: Some(self.invalidate(s, true, None)), ..replay });
            }
            Action::Replayed | Action::ReplayFails => {
                let replay = s.replay.take()?;
                let body = self.body();
                let executed = replay.executed.filter(|_| action == Action::Replayed);
                let acknowledged = executed.map(|mark| (self.partition(), mark, &body));
                let (_, effects) = s.node.replayed(replay.generation, acknowledged, NOW);
                self.apply(s, effects);
            }
            Action::Elsewhere => {
                s.elsewhere -= 1;
                self.bump(s, false);
                s.wires.pop_last();
                let number = s.server.log.len() as u64;
                s.server.log.last_mut()?.elsewhere = true;
                s.wires.insert(Self::wire(&s.server, number));
            }
            Action::OthersReplay => {
                self.invalidate(s, false, None);
            }
            _ => return self.write(s, action),
        }
        Some(())
    }

    fn without_leases(&self) -> bool {
        self.broken(Broken::NoLease) || self.broken(Broken::FillIfAbsent)
    }

    fn tick(&self, s: &mut State) {
        let oldest = NOW - self.config.fresh_for - 1;
        s.node.age(1, oldest);
        s.table.age(1, oldest);
        if let Some((ticket, _)) = &mut s.fence {
            ticket.age(1, oldest);
        }
        for age in s.acknowledged.iter_mut().flatten() {
            *age = (*age + 1).min(self.config.fresh_for as u8 + 1);
        }
    }

    fn miss(&self, s: &mut State) -> Option<()> {
        let free = s.flights[..self.config.flights].iter().position(Option::is_none);
        // Where every seat is taken, a read may still join.
        let id = free.map_or(99, |at| at as u64 + 1);
        let horizon = if self.broken(Broken::JoinOld) { 0 } else { s.node.horizon(NOW) };
        let start = Start { id, generation: 0, began: NOW, blocking: false };
        match s.table.enter(key(), start, horizon, |_| true, || ()) {
            Entered::Wait(id) => {
                self.reach("a flight is joined");
                s.table.withdraw(&key(), id, |()| true);
                let required = self.required(s);
                let flight = s.flights[id as usize - 1].as_mut()?;
                // Later callers need no less.
                flight.required.bounded = flight.required.bounded.max(required.bounded);
                flight.required.own = flight.required.own.max(required.own);
                flight.required.seen = flight.required.seen.max(required.seen);
            }
            _ => {
                let owes = s.node.owes(CACHE, b"k") && !self.broken(Broken::OwedIsRead);
                let stage = if owes { Stage::Loading { fill: false } } else { Stage::Asked };
                s.flights[free?] = Some(self.flight(s, stage));
                s.memory = None;
            }
        }
        Some(())
    }

    fn get(&self, s: &mut State, at: usize) {
        let token = self.token(at);
        let Some(flight) = s.flights[at] else { return };
        let slot = s.server.slot;
        let stage = match (flight.stage, slot) {
            (Stage::Over(version, born), slot) if slot != Slot::Value(version, born) => {
                return self.abandon(s, at);
            }
            (Stage::Over(..), _) | (_, Slot::Absent) => {
                if !self.without_leases() {
                    s.server.slot = Slot::Lease(token);
                }
                Stage::Loading { fill: true }
            }
            (_, Slot::Value(version, born)) => Stage::Found(version, born),
            (_, Slot::Lease(holder)) if self.broken(Broken::TokenPerNode) && holder == token => {
                Stage::Loading { fill: true }
            }
            (_, Slot::Lease(_) | Slot::Intents(_)) => {
                self.reach("a load has no right to fill");
                Stage::Loading { fill: false }
            }
        };
        let born = if stage == (Stage::Loading { fill: true }) { self.clock(s) } else { None };
        s.flights[at] = Some(Flight { stage, born, ..flight });
    }

    /// What the clock of the meta partition shows; where that is not known, the floors are loaded first.
    fn clock(&self, s: &mut State) -> Option<Born> {
        if s.node.born(NOW).is_none() {
            self.load_floors(s);
        }
        s.node.born(NOW)
    }

    fn reply(&self, s: &mut State, at: usize) {
        let Some(flight) = s.flights[at] else { return };
        let Stage::Found(version, born) = flight.stage else { return };
        if flight.generation != s.node.generation() {
            self.reach("a reply of a dead generation");
            return self.abandon(s, at);
        }
        if self.config.kind == Kind::Clear && !self.broken(Broken::NotJudged) {
            if s.node.judge(born, CACHE, NOW) == Verdict::Unknown {
                self.load_floors(s);
            }
            if s.node.judge(born, CACHE, NOW) != Verdict::Valid {
                self.reach("a dead record is found");
                let stage = Stage::Over(version, born);
                s.flights[at] = Some(Flight { stage, ..flight });
                return;
            }
        }
        self.arrive(s, at, version);
    }

    fn load(&self, s: &mut State, at: usize) {
        let Some(flight) = &mut s.flights[at] else { return };
        if let Stage::Loading { fill: true } = flight.stage {
            flight.stage = Stage::Loaded(s.db);
        } else {
            let (version, required) = (s.db, flight.required);
            self.abandon(s, at);
            self.give(s, version, required, true);
        }
    }

    fn fill(&self, s: &mut State, at: usize) {
        let token = self.token(at);
        let Some(mut flight) = s.flights[at] else { return };
        let Stage::Loaded(version) = flight.stage else { return };
        let kept = match self.config.broken {
            Some(Broken::NoLease) => true,
            Some(Broken::FillIfAbsent) => s.server.slot == Slot::Absent,
            _ => s.server.slot == Slot::Lease(token),
        };
        let born = if self.broken(Broken::BornAtFill) { self.clock(s) } else { flight.born };
        if kept && let Some(born) = born {
            s.server.slot = Slot::Value(version, born);
            flight.stage = Stage::Kept(version);
        } else {
            self.reach("a fill is rejected");
            flight.stage = Stage::Rejected(version);
        }
        s.flights[at] = Some(flight);
    }

    fn land(&self, s: &mut State, at: usize) {
        let Some(flight) = s.flights[at] else { return };
        match flight.stage {
            Stage::Kept(version) => {
                if flight.generation == s.node.generation() {
                    self.arrive(s, at, version);
                } else {
                    self.abandon(s, at);
                    self.give(s, version, flight.required, true);
                }
            }
            Stage::Rejected(version) => {
                // Its callers take the value once, or (`strict`) look again: then they are other reads.
                self.abandon(s, at);
                self.give(s, version, flight.required, !self.broken(Broken::RejectedReturns));
            }
            _ => {}
        }
    }

    /// A value is there that may be kept.
    fn arrive(&self, s: &mut State, at: usize, version: u8) {
        let Some(flight) = s.flights[at].take() else { return };
        let landed = s.table.land(&key(), at as u64 + 1, 0);
        let fill = landed.fill
            || self.broken(Broken::NoInsertGuard)
            || (self.broken(Broken::RetiredMayFill) && !flight.tainted);
        if fill {
            s.memory = Some(version);
        } else {
            self.reach("a result is not kept");
        }
        self.end(s, self.token(at));
        self.give(s, version, flight.required, !fill && !self.broken(Broken::DetachedCounts));
    }

    /// A flight ends and nothing of it is kept.
    fn abandon(&self, s: &mut State, at: usize) {
        s.flights[at] = None;
        s.table.land(&key(), at as u64 + 1, 0);
        self.end(s, self.token(at));
    }

    fn fail_over(&self, s: &mut State) {
        let Some(replica) = s.replica.take() else { return };
        s.failovers -= 1;
        let incarnation = s.server.incarnation + 1;
        // What was executed and not acknowledged yet may have been seen.
        s.window |= s.server.invalidated > replica.invalidated;
        s.server = Server { incarnation, ..replica };
        if s.failovers > 0 {
            s.replica = Some(s.server.clone());
        }
        let invalidated = s.server.invalidated;
        for version in invalidated + 1..=s.db {
            if s.acknowledged[version as usize].take().is_some() {
                let own = s.own_acknowledged == version;
                s.lost[usize::from(!own)].insert(version);
                s.others_owe |= !own && !self.config.issuer_dies;
                s.window = true;
                self.reach("a failover loses an acknowledged invalidation");
            }
        }
        let forgive = s.window;
        for flight in s.flights.iter_mut().flatten() {
            let required = &mut flight.required;
            required.bounded = required.bounded.min(invalidated);
            required.seen = if forgive { 0 } else { required.seen.min(invalidated) };
            required.own = if forgive { 0 } else { required.own };
        }
    }
}
