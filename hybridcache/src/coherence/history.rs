//! What this node witnessed of one partition of the bus: the part without holes, and what lies beyond it.

use std::collections::{BTreeMap, VecDeque};

use super::deferred::Body;
use super::node::{Mark, Nonce};

/// How many keys of invalidations are remembered, whatever their age; beyond it the oldest are forgotten first, and only that there
/// were some is remembered.
pub(crate) const REMEMBERED_KEYS: usize = 16_384;

/// A numbered message of the bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    /// Its number and link, in the epoch it was sent in.
    pub(crate) mark: Mark,
    /// The link of the message before it.
    pub(crate) previous: Nonce,
    /// Sent by this very node.
    pub(crate) own: bool,
    /// What it removes.
    pub(crate) body: Body,
}

/// An invalidation this node sent or received. Should a failover lose it, this node can say so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Witness {
    epoch: Nonce,
    chain: Nonce,
    /// Unknown until the message arrives, where only its acknowledgement did.
    previous: Option<Nonce>,
    own: bool,
    body: Body,
    at: u64,
}

/// Witnesses that there was no room for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Forgotten {
    /// The link of the newest, if it leads to each of them: a history with that link in it lost none.
    chain: Option<Nonce>,
    /// Some were sent by this very node.
    own: bool,
    /// When the youngest was witnessed.
    at: u64,
}

/// What a message was to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It has to be applied.
    New,
    /// It has been applied.
    Known,
    /// It belongs to another past than this node's.
    Foreign,
}

/// How the fleet's mark compares with what this node heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// This node has yet to join.
    Apart,
    /// Everything up to the mark is known here.
    Abreast,
    /// Messages are missing here.
    Behind,
    /// The fleet has another past than this node.
    Forked,
    /// The mark is older than what this node remembers: it says nothing.
    Stale,
}

/// The witnessed history of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    /// The watermark: everything up to it has been applied here. `None` until this node joined.
    mark: Option<Mark>,
    /// The number at which this node joined.
    joined: u64,
    witnessed: BTreeMap<u64, Witness>,
    /// Witnesses of another past whose numbers were taken anew while this node was apart.
    displaced: VecDeque<Witness>,
    keys: usize,
    forgotten: Option<Forgotten>,
}

impl History {
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.mark
    }

    pub(crate) fn number(&self) -> u64 {
        self.mark.map_or(0, |mark| mark.number)
    }

    /// The newest number this node knows to have been given, by a message or by the acknowledgement of one.
    pub(crate) fn newest(&self) -> u64 {
        self.witnessed.last_key_value().map_or(0, |(number, _)| *number).max(self.number())
    }

    pub(crate) fn joined(&self) -> u64 {
        self.joined
    }

    /// Whether something lies beyond the watermark that the chain does not yet reach.
    pub(crate) fn has_hole(&self) -> bool {
        self.mark.is_some_and(|mark| mark.number < self.newest())
    }

    /// R4: a message arrived. The watermark moves as far as the chain reaches.
    pub(crate) fn hear(&mut self, message: &Message, now: u64) -> Heard {
        let Message { mark: Mark { epoch, number, chain }, previous, own, ref body } = *message;
        if self.contradicts(message.mark) {
            return Heard::Foreign;
        }
        let heard = match self.witnessed.get_mut(&number) {
            Some(known) if known.epoch == epoch && known.chain == chain => {
                known.previous = Some(previous);
                Heard::Known
            }
            Some(_) if self.mark.is_some() => return Heard::Foreign,
            _ => {
                let body = body.clone();
                self.remember(number, Witness { epoch, chain, previous: Some(previous), own, body, at: now });
                Heard::New
            }
        };
        if self.advance() { heard } else { Heard::Foreign }
    }

    /// An invalidation of this node's own was acknowledged, before or after its message came (R9: its number is
    /// remembered). `false` if it belongs to another past.
    pub(crate) fn acknowledge(&mut self, mark: Mark, body: &Body, now: u64) -> bool {
        if self.contradicts(mark) {
            return false;
        }
        match self.witnessed.get_mut(&mark.number) {
            Some(known) if known.epoch == mark.epoch && known.chain == mark.chain => {
                // What was sent may be more than what the message says (a long message is sent as a floor).
                self.keys = self.keys - known.body.weight() + body.weight();
                known.body = body.clone();
                true
            }
            Some(_) if self.mark.is_some() => false,
            _ => {
                let Mark { epoch, number, chain } = mark;
                let body = body.clone();
                self.remember(number, Witness { epoch, chain, previous: None, own: true, body, at: now });
                true
            }
        }
    }

    /// What was witnessed after a number of an epoch.
    pub(crate) fn after(&self, Mark { epoch, number, .. }: Mark) -> impl Iterator<Item = (Mark, &Body)> {
        let later = self.witnessed.range(number.saturating_add(1)..);
        let later = later.map(|(number, w)| (Mark { epoch: w.epoch, number: *number, chain: w.chain }, &w.body));
        later.filter(move |(mark, _)| mark.epoch == epoch)
    }

    /// R5: compares with where the fleet stood; `at_send` is what was [`newest`](Self::newest) when that was asked for. An own
    /// invalidation may have been acknowledged, its message lost, and then the server with it: only its number tells.
    pub(crate) fn compare(&self, fleet: Mark, at_send: u64) -> Standing {
        let Some(own) = self.mark else { return Standing::Apart };
        if fleet.epoch != own.epoch || fleet.number < at_send {
            return Standing::Forked;
        }
        let chain = match fleet.number {
            number if number > own.number => return Standing::Behind,
            number if number == own.number => own.chain,
            number => match self.witnessed.get(&number) {
                Some(witness) => witness.chain,
                None => return Standing::Stale,
            },
        };
        if chain == fleet.chain { Standing::Abreast } else { Standing::Forked }
    }

    /// Nothing this node heard is known to be part of the fleet's past any more.
    pub(crate) fn leave(&mut self) {
        self.mark = None;
    }

    /// R12: joins the fleet at `mark`. Returns what this node witnessed that is not provably part of the history that leads to
    /// `mark`, and whether it is this node's own: links are never used twice, so whatever `mark` is linked to is. What follows it
    /// may be what was lost, unless it was heard of after the question that `mark` answers was sent, when the newest number was
    /// `at_send`: then it is what was done since, as far as the next answer does not say otherwise.
    ///
    /// Without that whatever is put in the first milliseconds of a process would be evicted again: its answer comes on one connection, and
    /// where the fleet stood before it on another.
    pub(crate) fn join(&mut self, mark: Mark, at_send: u64) -> Vec<(bool, Body)> {
        (self.mark, self.joined) = (Some(mark), mark.number);
        let mut proven = BTreeMap::new();
        let mut link = Some(mark.chain);
        let mut number = mark.number;
        while let Some(chain) = link
            && self.witnessed.get(&number).is_some_and(|w| w.epoch == mark.epoch && w.chain == chain)
        {
            let witness = self.witnessed.remove(&number).expect("it was there");
            link = witness.previous;
            proven.insert(number, witness);
            number = number.wrapping_sub(1);
        }
        let mut unproven = std::mem::replace(&mut self.witnessed, proven);
        let mut since = unproven.split_off(&at_send.max(mark.number).saturating_add(1));
        let mut before = mark;
        let follows = since.iter().all(|(&number, witness)| {
            let linked =
                number != before.number + 1 || witness.previous.is_none_or(|previous| previous == before.chain);
            before = Mark { epoch: witness.epoch, number, chain: witness.chain };
            linked && witness.epoch == mark.epoch
        });
        if follows {
            self.witnessed.append(&mut since);
        } else {
            unproven.append(&mut since);
        }
        self.advance();
        self.keys = self.witnessed.values().map(|witness| witness.body.weight()).sum();
        // Interleaving that this defeats: more is evicted within a minute than is remembered; the server dies, and comes back from
        // an old copy; what was forgotten has a living witness, and nobody repeats it.
        let lost = self.forgotten.take_if(|forgotten| forgotten.chain.is_none() || forgotten.chain != link);
        let lost = lost.map(|forgotten| (forgotten.own, Body::Floor));
        let unproven = self.displaced.drain(..).chain(unproven.into_values());
        unproven.map(|witness| (witness.own, witness.body)).chain(lost).collect()
    }

    /// Forgets what was witnessed before `instant`.
    ///
    /// Interleaving that looking at each of the displaced defeats: a failover loses evictions of this node; messages of the new past
    /// take their numbers; before a fence tells where to join, the first witness of all is old enough to be forgotten, and the lost
    /// evictions, which are not, with it.
    pub(crate) fn forget_before(&mut self, instant: u64) {
        self.displaced.retain(|witness| {
            let kept = witness.at >= instant;
            self.keys -= if kept { 0 } else { witness.body.weight() };
            kept
        });
        while let Some(oldest) = self.witnessed.first_entry().filter(|oldest| oldest.get().at < instant) {
            self.keys -= oldest.remove().body.weight();
        }
        self.forgotten.take_if(|forgotten| forgotten.at < instant);
    }

    /// Makes room. Of either kind the first passes for the oldest: numbers rise with time, and where a failover took them back no more
    /// is lost by it than a name.
    fn forget_oldest(&mut self) {
        let displaced = self.displaced.front().map(|witness| witness.at);
        let witnessed = self.witnessed.first_key_value().map(|(_, witness)| witness.at);
        let displaced_first = displaced.is_some_and(|at| witnessed.is_none_or(|first| at <= first));
        let oldest = if displaced_first {
            self.displaced.pop_front()
        } else {
            self.witnessed.pop_first().map(|(_, witness)| witness)
        };
        let Some(oldest) = oldest else { return };
        self.keys -= oldest.body.weight();
        self.forgotten = Some(match self.forgotten.take() {
            None => Forgotten { chain: Some(oldest.chain), own: oldest.own, at: oldest.at },
            Some(before) => Forgotten {
                chain: before.chain.filter(|chain| oldest.previous == Some(*chain)).and(Some(oldest.chain)),
                own: before.own || oldest.own,
                at: before.at.max(oldest.at),
            },
        });
    }

    fn remember(&mut self, number: u64, witness: Witness) {
        self.keys += witness.body.weight();
        self.displaced.extend(self.witnessed.insert(number, witness));
        while self.keys > REMEMBERED_KEYS && self.witnessed.len() + self.displaced.len() > 1 {
            self.forget_oldest();
        }
    }

    fn contradicts(&self, mark: Mark) -> bool {
        let same_number = |own: Mark| own.number == mark.number && own.chain != mark.chain;
        self.mark.is_some_and(|own| own.epoch != mark.epoch || same_number(own))
    }

    /// Moves the watermark over what is linked to it. `false` if the next message is linked to something else.
    fn advance(&mut self) -> bool {
        let Some(mark) = &mut self.mark else { return true };
        while let Some(next) = self.witnessed.get(&(mark.number + 1))
            && let Some(previous) = next.previous
        {
            if previous != mark.chain {
                return false;
            }
            *mark = Mark { epoch: mark.epoch, number: mark.number + 1, chain: next.chain };
        }
        true
    }

    #[cfg(test)]
    pub(crate) fn validate(&self) {
        let all = self.witnessed.values().chain(&self.displaced);
        assert_eq!(self.keys, all.map(|witness| witness.body.weight()).sum::<usize>());
        assert!(self.mark.is_none() || self.displaced.is_empty(), "settled when this node joined");
        assert!(self.keys <= REMEMBERED_KEYS || self.witnessed.len() + self.displaced.len() == 1, "bounded");
        let Some(mark) = self.mark else { return };
        assert!(self.joined <= mark.number, "the watermark only rises");
        if let Some(newest) = self.witnessed.get(&mark.number) {
            assert_eq!(newest.chain, mark.chain, "the watermark's link is that of its message");
        }
    }

    /// Lets every instant be `by` longer ago, but never longer than at `oldest`.
    #[cfg(test)]
    pub(crate) fn age(&mut self, by: u64, oldest: u64) {
        for witness in self.witnessed.values_mut().chain(&mut self.displaced) {
            witness.at = witness.at.saturating_sub(by).max(oldest);
        }
        if let Some(forgotten) = &mut self.forgotten {
            forgotten.at = forgotten.at.saturating_sub(by).max(oldest);
        }
    }
}

#[cfg(test)]
mod tests;
