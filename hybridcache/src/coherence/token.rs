//! What a writer hands on so that somebody else, on another node, reads what it wrote.

use super::node::{Nonce, Partition};

/// Names an invalidation: a node that has seen it serves nothing older from its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConsistencyToken {
    pub(crate) partition: Partition,
    pub(crate) epoch: Nonce,
    pub(crate) number: u64,
}

/// Whether a node has applied the invalidation a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    /// Its memory may answer.
    Yes,
    /// Wait, or go past its memory.
    NotYet,
    /// The fleet began to count anew since, or this node has yet to hear of it: go past its memory.
    OtherEpoch,
}
