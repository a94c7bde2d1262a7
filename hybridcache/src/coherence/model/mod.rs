//! A model of a fleet for exhaustive checking, in which one node is the real [`Node`] and the real [`Table`].
//!
//! One key, one database register, one slot of the remote tier. The node under test is driven as production drives it; the other
//! nodes are its environment: they write, take leases, fill, and never read, which is sound because memories meet in the remote tier
//! only. Messages are delivered in any order or lost, commands and replies are separate steps, and every step may be late for ever:
//! that is what a pause is. The clock stands still at [`NOW`] and everything else ages, so that a run of any length is a finite state.
//!
//! Invariants, each a bit of [`State::bad`]: [`I1`] no stale value in the remote tier; [`I2`] bounded staleness of every value that is
//! returned; [`I3`] a node reads its own writes; [`I4`] reads of a node never go back; [`I5`] no acknowledged invalidation is lost by a
//! failover once the node is in sync again.
//!
//! Each rule can be [`Broken`]; the checker then has to find the reason why it is a rule.

mod fleet;
mod state;
mod step;
mod tests;
mod write;

use std::collections::BTreeMap;
use std::sync::Mutex;

use stateright::{Model, Property};

pub(crate) use state::{Action, State};

/// Where the clock stands.
pub(crate) const NOW: u64 = 1_000;

pub(crate) const I1: u8 = 1;
pub(crate) const I2: u8 = 2;
pub(crate) const I3: u8 = 4;
pub(crate) const I4: u8 = 8;
pub(crate) const I5: u8 = 16;

/// What is sent to invalidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Evict,
    Clear,
    /// An intent before the write, an eviction after it.
    Guarded,
    /// So others write, and this node without an intent.
    Beside,
    /// An intent before the write, the value after it.
    Put,
}

/// A rule that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// R1, R2: no leases, fills are unconditional.
    NoLease,
    /// R2: a fill is an add where nothing is.
    FillIfAbsent,
    /// R1: one token for all attempts of a node.
    TokenPerNode,
    /// R7: whatever is loaded is kept in memory.
    NoInsertGuard,
    /// R6: memory is served whatever the fence says.
    NoFence,
    /// R5: a fence vouches from when it was answered.
    FenceAtReply,
    /// R5: a fence that finds messages missing counts all the same.
    FenceIgnoresMissing,
    /// R4: a raised floor leaves flights alone.
    FloorSparesFlights,
    /// R8: any flight may be joined.
    JoinOld,
    /// R9: an own eviction leaves flights alone.
    OwnEvictSparesFlights,
    /// R11: the callers of a rejected fill take its value for good.
    RejectedReturns,
    /// R11: what a flight returns that was retired counts like what is kept.
    DetachedCounts,
    /// R10: a flight that was retired may still fill, if nothing was invalidated since.
    RetiredMayFill,
    /// R12: one history looks like another.
    NoChain,
    /// R12: nobody repeats what a failover lost.
    NoReplay,
    /// R14: born when it is filled.
    BornAtFill,
    /// R14: what is read from the remote tier is not judged.
    NotJudged,
    /// R14: a lost table of floors looks like an empty one.
    FloorsLostSilently,
    /// An eviction that is owed does not keep reads from the remote tier.
    OwedIsRead,
    /// Intents: a put needs none.
    BarePut,
    /// Intents: a put needs its own, and does not look at others.
    PutBesideOthers,
    /// What was put stays in memory, too.
    PutKept,
    /// Intents: none.
    NoIntent,
    /// Intents: who evicts, or begins to write, takes those of others away.
    TakesIntents,
}

/// What may happen, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) kind: Kind,
    /// Writes in all, by the node itself and by others.
    pub(crate) writes: u8,
    pub(crate) own: bool,
    pub(crate) other: bool,
    /// Another may die between its commit and what ends its write.
    pub(crate) dies: bool,
    /// Time passes. I1 and I5 do not depend on it.
    pub(crate) ticks: bool,
    /// Messages and fences reach the node. I1 does not depend on them.
    pub(crate) bus: bool,
    /// D, in ticks.
    pub(crate) fresh_for: u64,
    /// Concurrent flights of the node, and of all others.
    pub(crate) flights: usize,
    pub(crate) others: bool,
    pub(crate) loss: bool,
    /// Messages overtake one another and the answers of fences, which the bus promises they do not.
    pub(crate) reorder: bool,
    /// How many messages there are at most: an eviction whose acknowledgement does not count is sent again, for ever if need be.
    pub(crate) messages: usize,
    /// The log may answer, and may fail to.
    pub(crate) log: bool,
    pub(crate) key_loss: bool,
    pub(crate) take_over: bool,
    pub(crate) failovers: u8,
    /// The connection to the bus may break.
    pub(crate) reconnect: bool,
    /// The other node dies with the failover, and repeats nothing.
    pub(crate) issuer_dies: bool,
    /// Invalidations of other keys.
    pub(crate) elsewhere: u8,
    /// Own evictions may fail to be sent.
    pub(crate) defer: bool,
    pub(crate) floors_lost: u8,
    pub(crate) broken: Option<Broken>,
}

impl Config {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            writes: 1,
            own: true,
            other: true,
            dies: false,
            ticks: true,
            bus: true,
            fresh_for: 1,
            flights: 1,
            others: true,
            loss: true,
            reorder: true,
            messages: 4,
            log: false,
            key_loss: true,
            take_over: true,
            failovers: 0,
            reconnect: false,
            issuer_dies: false,
            elsewhere: 0,
            defer: false,
            floors_lost: 0,
            broken: None,
        }
    }
}

/// The checker's model: the rules of a run, and what was reached in it.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) config: Config,
    /// How often each of these things happened: a run in which nothing happens proves nothing.
    pub(crate) reached: Mutex<BTreeMap<&'static str, u64>>,
}

impl Fleet {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, reached: Mutex::default() }
    }

    fn broken(&self, rule: Broken) -> bool {
        self.config.broken == Some(rule)
    }

    fn reach(&self, what: &'static str) {
        *self.reached.lock().unwrap().entry(what).or_default() += 1;
    }
}

impl Model for Fleet {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.bad == 0 {
            self.possible(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next, action)?;
        self.settle(&mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1", |_, state: &State| state.bad & I1 == 0),
            Property::always("I2", |_, state: &State| state.bad & I2 == 0),
            Property::always("I3", |_, state: &State| state.bad & I3 == 0),
            Property::always("I4", |_, state: &State| state.bad & I4 == 0),
            Property::always("I5", |_, state: &State| state.bad & I5 == 0),
        ]
    }
}
