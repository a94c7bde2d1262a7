//! What a state of the fleet is made of.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use crate::coherence::Table;
use crate::coherence::floors::Born;
use crate::coherence::node::{Mark, Node, Ticket};

/// Whose lease it is: a flight of the node under test, or one of these.
pub(crate) const OTHERS: u8 = 10;
/// An attempt that is over: all such leases are alike, since none of them can be filled.
pub(crate) const NOBODY: u8 = 11;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    Absent,
    Lease(u8),
    Value(u8, Born),
    Intents(Intents),
}

/// Who is writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Intents {
    /// This node, and another.
    pub(crate) of: [bool; 2],
    /// Somebody else has touched the key since one of them began.
    pub(crate) touched: bool,
}

/// A message as the server's log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Link {
    pub(crate) incarnation: u8,
    pub(crate) own: bool,
    /// It is of another key.
    pub(crate) elsewhere: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) slot: Slot,
    pub(crate) log: Vec<Link>,
    pub(crate) incarnation: u8,
    /// How often the floors were lost.
    pub(crate) epoch: u8,
    /// The number of the last clear.
    pub(crate) floor: u64,
    /// Ghost: the newest version whose invalidation was executed here.
    pub(crate) invalidated: u8,
}

/// A message on its way to the node under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Wire {
    pub(crate) number: u64,
    pub(crate) link: Link,
    pub(crate) previous: Option<Link>,
    pub(crate) epoch: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// The command is sent.
    Asked,
    /// The reply is under way: a value.
    Found(u8, Born),
    /// A dead record was found, and is to become a lease.
    Over(u8, Born),
    Loading {
        fill: bool,
    },
    /// The source was read.
    Loaded(u8),
    /// The reply to the fill is under way.
    Kept(u8),
    Rejected(u8),
}

/// What a read has to return at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Required {
    pub(crate) bounded: u8,
    pub(crate) own: u8,
    pub(crate) seen: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) stage: Stage,
    pub(crate) generation: u64,
    pub(crate) born: Option<Born>,
    /// Something was invalidated since it began.
    pub(crate) tainted: bool,
    /// What the youngest of its callers has to be given.
    pub(crate) required: Required,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Writer {
    Idle,
    Begun,
    Committed(u8),
    Sent { version: u8, generation: u64 },
    Executed { version: u8, generation: u64, mark: Mark, put: bool },
    Crashed(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Replay {
    pub(crate) generation: u64,
    pub(crate) executed: Option<Mark>,
}

#[derive(Clone, Debug)]
pub(crate) struct Flights {
    pub(crate) table: Table<u8, ()>,
    /// By which the write of the node under test ends.
    pub(crate) write: u64,
}

impl Hash for Flights {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.table.canonical(self.write).hash(state);
    }
}

impl PartialEq for Flights {
    fn eq(&self, other: &Self) -> bool {
        self.table.canonical(self.write) == other.table.canonical(other.write)
    }
}

impl Deref for Flights {
    type Target = Table<u8, ()>;
    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

impl DerefMut for Flights {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.table
    }
}

#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct State {
    /// The newest version that was committed.
    pub(crate) db: u8,
    pub(crate) server: Server,
    pub(crate) replica: Option<Server>,
    pub(crate) wires: BTreeSet<Wire>,
    pub(crate) node: Node,
    pub(crate) table: Flights,
    /// The version in the memory of the node under test.
    pub(crate) memory: Option<u8>,
    pub(crate) flights: [Option<Flight>; 2],
    /// The flight of the other nodes: what it read of the source, and when it was born.
    pub(crate) others: Option<(Option<u8>, Born)>,
    pub(crate) fence: Option<(Ticket, Option<[Mark; 2]>)>,
    pub(crate) reading: bool,
    pub(crate) replay: Option<Replay>,
    pub(crate) own: Writer,
    pub(crate) other: Writer,
    pub(crate) writes: u8,
    pub(crate) failovers: u8,
    pub(crate) floors_lost: u8,
    pub(crate) elsewhere: u8,
    /// How long ago the invalidation of each version was acknowledged.
    pub(crate) acknowledged: [Option<u8>; 4],
    /// The newest own version that was acknowledged.
    pub(crate) own_acknowledged: u8,
    /// The newest version a read returned.
    pub(crate) seen: u8,
    /// Versions that were acknowledged, and then lost by a failover: of the node itself, of others.
    pub(crate) lost: [BTreeSet<u8>; 2],
    /// Other nodes have yet to repeat what they lost.
    pub(crate) others_owe: bool,
    /// Whether the node heard a message that the failover lost.
    pub(crate) witnessed: bool,
    /// From a lossy failover until everything lost is sent again and known here.
    pub(crate) window: bool,
    pub(crate) bad: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A read that memory does not answer.
    Miss,
    /// A read that it does.
    Hit,
    /// Memory gives up the entry for room.
    Drop,
    Get(usize),
    Reply(usize),
    Load(usize),
    Fill(usize),
    Land(usize),
    OtherGet,
    OtherLoad,
    OtherFill,
    Tick,
    Deliver(Wire),
    Lose(Wire),
    SendFence,
    ExecuteFence,
    AnswerFence,
    ReadLog,
    FailLog,
    Begin(bool),
    Commit(bool),
    Send,
    Execute(bool),
    Acknowledge,
    Defer,
    Crash,
    IntentEnds,
    LoseSlot,
    LeaseEnds,
    LoseFloors,
    Replicate,
    FailOver,
    Reconnect,
    Beat,
    Replay,
    Replayed,
    ReplayFails,
    OthersReplay,
    Elsewhere,
}
