//! What the node asks for.

use std::sync::Arc;

use super::deferred::{Body, Text};
use super::node::Partition;

/// What the caller has to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// Remove these entries from memory, and detach their flights.
    Kill(Arc<[Text]>),
    /// Remove everything of this cache (`*`: of each) from memory, and detach its flights.
    Clear(Arc<str>),
    /// Remove everything from memory, and detach every flight.
    RaiseFloor,
    /// Every invalidation that was acknowledged before this instant is in effect here; 0: nothing is known. Memory may be
    /// served until `fresh_for` (less the `lag`) after it or, where a cache wants no bound, as long as contact may be lost.
    Synced(u64),
    /// Ask where the partitions stand: `fence_sent`, then `fence_answered`.
    SendFence,
    /// Read the floors, then `floors_loaded`.
    LoadFloors,
    /// Read the messages of the partition after this number, then `log_answered`.
    ReadLog(Partition, u64),
    /// Send this invalidation, as one's own: nobody is known to have. Then `replayed`.
    Replay(Body),
}
