//! Which flight depends on which, so that nobody waits in a circle.
//!
//! A body that runs for flight `F` and calls another cached function depends on that one's flight, whether it leads it
//! or waits for it. With an edge for each, a caller that would wait for `G` inside the body of `F` asks whether `G`
//! leads back to `F`. If it does, the wait would never end: the caller runs its body by itself.

use std::collections::HashSet;
use std::collections::btree_map::{BTreeMap, Entry};

use super::FlightId;

/// The edges between flights that are under way, and how often there is each. Only calls from inside a body have any.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    // In one map: a body may depend on thousands, and among those of its own each that ends would be searched for, under a lock.
    edges: BTreeMap<(FlightId, FlightId), usize>,
}

impl Waits {
    /// `from` depends on `to` until [`remove`](Self::remove).
    pub(crate) fn add(&mut self, from: FlightId, to: FlightId) {
        *self.edges.entry((from, to)).or_default() += 1;
    }

    /// Adds the edge unless it would close a cycle; returns whether it was added.
    ///
    /// The check and the edge are one step: otherwise `F` asks about `G` while `G` asks about `F`, both hear «no», and
    /// both wait.
    pub(crate) fn add_unless_cycle(&mut self, from: FlightId, to: FlightId) -> bool {
        if self.leads_to(to, from) {
            return false;
        }
        self.add(from, to);
        true
    }

    pub(crate) fn remove(&mut self, from: FlightId, to: FlightId) {
        if let Entry::Occupied(mut edge) = self.edges.entry((from, to)) {
            *edge.get_mut() -= 1;
            if *edge.get() == 0 {
                edge.remove();
            }
        }
    }

    fn leads_to(&self, start: FlightId, goal: FlightId) -> bool {
        // A set: a body may wait for thousands, and whoever waits for that body goes through all of them, under a lock.
        let mut seen = HashSet::from([start]);
        let mut next = vec![start];
        while let Some(at) = next.pop() {
            if at == goal {
                return true;
            }
            let targets = self.edges.range((at, FlightId::MIN)..=(at, FlightId::MAX)).map(|(&(_, target), _)| target);
            next.extend(targets.filter(|target| seen.insert(*target)));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effort::{grows_as_much, spent};

    #[test]
    fn a_flight_leads_to_itself() {
        assert!(!Waits::default().add_unless_cycle(1, 1));
    }

    #[test]
    fn a_cycle_through_others_is_found_and_gone_once_an_edge_goes() {
        let mut waits = Waits::default();
        assert!(waits.add_unless_cycle(1, 2));
        waits.add(2, 3);
        waits.add(2, 4);
        assert!(!waits.add_unless_cycle(3, 1));
        assert!(!waits.add_unless_cycle(4, 2));
        waits.remove(1, 2);
        assert!(waits.add_unless_cycle(3, 1));
    }

    #[test]
    fn a_body_that_waits_for_many_is_waited_for_at_no_great_cost() {
        grows_as_much(2_000, |many| {
            let mut waits = Waits::default();
            (0..many).for_each(|target| waits.add(1, 100 + target));
            spent(|| assert!(waits.add_unless_cycle(100 + many, 1)))
        });
    }

    #[test]
    fn a_body_that_depends_on_many_is_rid_of_each_at_no_great_cost() {
        grows_as_much(2_000, |many| {
            let mut waits = Waits::default();
            (0..many).for_each(|target| waits.add(1, 100 + target));
            let spent = spent(|| (0..many).for_each(|target| waits.remove(1, 100 + target)));
            assert!(waits.edges.is_empty());
            spent
        });
    }

    #[test]
    fn edges_are_counted_and_leave_nothing_behind() {
        let mut waits = Waits::default();
        waits.add(1, 2);
        waits.add(1, 2);
        waits.remove(1, 2);
        assert!(!waits.add_unless_cycle(2, 1));
        waits.remove(1, 2);
        assert!(waits.edges.is_empty());
        waits.remove(1, 2);
        assert!(waits.add_unless_cycle(2, 1));
    }
}
