//! What tests, model and simulator look at and turn.

use super::{Mark, Node, Partition, Ticket};

impl Node {
    pub(crate) fn validate(&self) {
        self.owed.validate();
        self.others.validate();
        for bus in &self.buses {
            bus.history.validate();
            let joined = bus.history.mark().is_some();
            assert!(joined || (bus.synced_at, bus.reading_to, bus.awaited) == (0, None, None), "apart is apart");
            assert!(self.told <= bus.synced_at, "each partition vouches for as much");
        }
        assert!(self.told == 0 || self.has_floors(), "who vouches knows the floors");
    }

    /// Lets every instant be `by` longer ago, but never longer than at `oldest`; 0 stays never. So a model can keep its clock still.
    pub(crate) fn age(&mut self, by: u64, oldest: u64) {
        let age = |at: &mut u64| {
            if *at != 0 {
                *at = at.saturating_sub(by).max(oldest);
            }
        };
        for bus in &mut self.buses {
            bus.history.age(by, oldest);
            age(&mut bus.synced_at);
            bus.awaited.iter_mut().for_each(|(asked, _)| age(asked));
        }
        self.floors.iter_mut().for_each(|floors| floors.age(by, oldest));
        for at in
            [&mut self.repeat_at, &mut self.last_replay, &mut self.last_fence, &mut self.last_read, &mut self.told]
        {
            age(at);
        }
    }

    /// Forgets what only paces it, unless records are `judged` the age of the floors, and counts generations from 0 again: so states
    /// that behave alike are alike. Returns what the generation was.
    pub(crate) fn canonicalize(&mut self, judged: bool) -> u64 {
        if !judged {
            self.floors.iter_mut().for_each(|floors| floors.age(u64::MAX, 0));
        }
        for bus in &mut self.buses {
            bus.history.age(u64::MAX, 0);
        }
        (self.repeat_at, self.last_replay, self.last_fence, self.last_read) = (0, 0, 0, 0);
        std::mem::replace(&mut self.generation, 0)
    }

    /// Whether something that others sent is to be repeated unless they do.
    pub(crate) fn is_waiting_to_repeat(&self) -> bool {
        !self.others.is_empty()
    }

    /// Where it stands, if it knows of nothing beyond.
    pub(crate) fn newest(&self, partition: Partition) -> Option<Mark> {
        self.mark(partition).filter(|mark| mark.number == self.buses[partition as usize].history.newest())
    }

    pub(crate) fn mark(&self, partition: Partition) -> Option<Mark> {
        self.buses[partition as usize].history.mark()
    }
}

impl Ticket {
    pub(crate) fn age(&mut self, by: u64, oldest: u64) {
        self.asked = self.asked.saturating_sub(by).max(oldest);
    }

    /// The same in a count of generations that starts at `generation`.
    pub(crate) fn since(self, generation: u64) -> Self {
        let generation = if self.generation == generation { 0 } else { u64::MAX };
        Self { generation, ..self }
    }
}
