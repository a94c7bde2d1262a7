//! What a node gives up where the past of the fleet is not its own, and what it owes the fleet then.

use super::{EVERY_CACHE, Mark, Node, Partition};
use crate::coherence::deferred::Body;
use crate::coherence::effect::Effect;

impl Node {
    /// An invalidation could not be sent, or nobody knows whether it was executed. Memory is to be rid of it already.
    pub(crate) fn defer(&mut self, body: &Body, now: u64) -> Vec<Effect> {
        self.owed.add(body);
        let mut effects = Vec::new();
        self.replay(now, &mut effects);
        effects
    }

    /// What became of [`Effect::Replay`]: acknowledged, as by [`acknowledged`](Self::acknowledged), or not. Whether it counts.
    pub(crate) fn replayed(
        &mut self,
        generation: u64,
        acknowledged: Option<(Partition, Mark, &Body)>,
        now: u64,
    ) -> (bool, Vec<Effect>) {
        let (counts, mut effects) = acknowledged
            .map_or((false, Vec::new()), |(at, mark, body)| self.acknowledged(generation, at, mark, body, now));
        self.owed.settle(counts);
        // One that failed waits for the next heartbeat.
        if counts {
            self.replay(now, &mut effects);
        }
        (counts, effects)
    }

    /// R12: the fleet's past is not this node's, as is `proven`, or cannot be shown to be.
    pub(super) fn leave(&mut self, partition: Partition, proven: bool, effects: &mut Vec<Effect>) {
        self.generation += 1;
        let bus = &mut self.buses[partition as usize];
        if partition == Partition::Meta {
            self.floors = None;
            let end = bus.history.mark().map(|mark| Mark { number: bus.history.newest(), ..mark });
            self.outrun = end.filter(|_| proven).or(self.outrun);
        }
        bus.history.leave();
        (bus.synced_at, bus.reading_to, bus.awaited) = (0, None, None);
        effects.push(Effect::RaiseFloor);
    }

    /// Takes up the fleet's past at `mark`: what was loaded before is forgotten, what it may have lost is owed to it. `at_send` is the newest
    /// number that was known when it was asked for at `asked`.
    pub(super) fn join(
        &mut self,
        partition: Partition,
        mark: Mark,
        (asked, at_send): (u64, u64),
        now: u64,
        effects: &mut Vec<Effect>,
    ) {
        if effects.last() != Some(&Effect::RaiseFloor) {
            effects.push(Effect::RaiseFloor);
        }
        let bus = &mut self.buses[partition as usize];
        for (own, lost) in bus.history.join(mark, at_send) {
            if own {
                self.owed.add(&lost);
            } else {
                self.others.add(&lost);
                self.repeat_at = now.saturating_add(self.timing.replay_others_after);
            }
        }
        bus.sync(asked);
        if partition == Partition::Meta {
            self.outrun = self.outrun.filter(|end| end.epoch == mark.epoch);
            if self.outrun.is_some() {
                self.owed.add(&Body::Clear(EVERY_CACHE.into()));
            }
        }
    }

    /// Everything was cleared: by a number that no record can have been born by? Interleaving that this defeats: a node takes
    /// a lease when the clock is 18; a failover takes it back to 16; a clear takes number 17, another 18; the node, which
    /// heard of none of this, fills: born at 18, and so valid for ever.
    pub(super) fn cleared(&mut self, mark: Mark) {
        if let Some(end) = self.outrun.filter(|end| end.epoch == mark.epoch) {
            let everything = Body::Clear(EVERY_CACHE.into());
            if mark.number > end.number {
                self.outrun = None;
                self.owed.remove(&everything);
            } else {
                self.owed.add(&everything);
            }
        }
    }

    pub(super) fn replay(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.connected
            && let Some(body) = self.owed.take()
        {
            self.last_replay = now;
            effects.push(Effect::Replay(body));
        }
    }
}
