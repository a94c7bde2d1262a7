//! What writers do: this node's and the others'.

use super::fleet::key;
use super::state::{Action, Intents, Slot, State, Writer};
use super::{Broken, Fleet, Kind, NOW};
use crate::coherence::node::Mark;

impl Fleet {
    pub(super) fn write(&self, s: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Begin(own) => {
                s.writes -= 1;
                let mut of = self.standing(s);
                let touched = of != [false; 2];
                of[usize::from(!own)] = true;
                s.server.slot = Slot::Intents(Intents { of, touched });
                let mark = self.bump(s, own);
                if own {
                    let generation = s.node.generation();
                    let (_, effects) = s.node.acknowledged(generation, self.partition(), mark, &self.body(), NOW);
                    self.apply(s, effects);
                    // After the kill of its own begin, which is older.
                    if self.config.kind == Kind::Put {
                        s.table.write = s.table.begin_write(key(), 1);
                        s.flights.iter_mut().flatten().for_each(|flight| flight.tainted = true);
                    }
                    s.own = Writer::Begun;
                } else {
                    s.other = Writer::Begun;
                }
            }
            Action::Commit(own) => {
                let writer = if own { &mut s.own } else { &mut s.other };
                if *writer == Writer::Idle {
                    s.writes -= 1;
                }
                s.db += 1;
                *writer = Writer::Committed(s.db);
            }
            Action::Send => {
                let Writer::Committed(version) = s.own else { return None };
                if self.config.kind != Kind::Put {
                    self.kill(s, !self.broken(Broken::OwnEvictSparesFlights));
                }
                s.own = Writer::Sent { version, generation: s.node.generation() };
            }
            Action::Execute(own) => {
                let version = match if own { s.own } else { s.other } {
                    Writer::Sent { version, .. } | Writer::Committed(version) => version,
                    _ => return None,
                };
                let (mark, put) = self.execute(s, version, own);
                if own {
                    let Writer::Sent { generation, .. } = s.own else { return None };
                    s.own = Writer::Executed { version, generation, mark, put };
                } else {
                    s.other = Writer::Idle;
                    self.acknowledge(s, version, false);
                }
            }
            Action::Acknowledge => {
                let Writer::Executed { version, generation, mark, put } = s.own else { return None };
                let (counts, effects) = s.node.acknowledged(generation, self.partition(), mark, &self.body(), NOW);
                let write = s.table.write;
                let newest = counts && self.config.kind == Kind::Put && s.table.end_write(&key(), write);
                if self.broken(Broken::OwnEvictSparesFlights) {
                    s.memory = None;
                } else {
                    self.apply(s, effects);
                }
                if counts {
                    // Interleaving that this defeats: put and unanswered; another process puts what is newer, a read here
                    // finds it; the answer comes, and memory has the older one.
                    if newest && put && self.broken(Broken::PutKept) {
                        s.memory = Some(version);
                    }
                    if put {
                        self.reach("a put is acknowledged");
                    }
                    s.own = Writer::Idle;
                    self.acknowledge(s, version, true);
                } else {
                    s.own = Writer::Sent { version, generation: s.node.generation() };
                }
            }
            Action::Defer => {
                if let Writer::Sent { version, .. } | Writer::Executed { version, .. } = s.own {
                    // It is in effect here (G3), and nowhere else.
                    s.own_acknowledged = s.own_acknowledged.max(version);
                }
                s.own = Writer::Idle;
                self.kill(s, true);
                let effects = s.node.defer(&self.body(), NOW);
                self.apply(s, effects);
                self.reach("an eviction is deferred");
            }
            Action::Crash => {
                let Writer::Committed(version) = s.other else { return None };
                s.other = Writer::Crashed(version);
            }
            Action::IntentEnds => {
                let Writer::Crashed(version) = s.other else { return None };
                if let Slot::Intents(Intents { of: [own, _], touched }) = s.server.slot {
                    s.server.slot =
                        if own { Slot::Intents(Intents { of: [own, false], touched }) } else { Slot::Absent };
                }
                s.server.invalidated = s.server.invalidated.max(version);
                s.other = Writer::Idle;
                self.acknowledge(s, version, false);
                self.reach("an intent outlives its writer");
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether a write begins with an intent.
    pub(super) fn intends(&self, own: bool) -> bool {
        match self.config.kind {
            Kind::Evict | Kind::Clear => false,
            Kind::Guarded => !self.broken(Broken::NoIntent),
            Kind::Beside => !own,
            Kind::Put => !self.broken(Broken::BarePut),
        }
    }

    /// The invalidation after a write, or the put.
    fn execute(&self, s: &mut State, version: u8, own: bool) -> (Mark, bool) {
        let ended = self.intends(own).then_some(own);
        if self.config.kind != Kind::Put {
            return (self.invalidate(s, own, ended), false);
        }
        let put = match s.server.slot {
            _ if self.broken(Broken::BarePut) => true,
            Slot::Intents(Intents { of, .. }) if self.broken(Broken::PutBesideOthers) => of[usize::from(!own)],
            // It is alone, and was from the beginning.
            slot => slot == Slot::Intents(Intents { of: [own, !own], touched: false }),
        };
        if put {
            s.server.slot = Slot::Value(version, self.born(&s.server));
        } else {
            self.remove(s, ended);
        }
        s.server.invalidated = s.server.invalidated.max(version);
        (self.bump(s, own), put)
    }
}
