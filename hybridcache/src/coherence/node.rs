//! What a node knows of the fleet: how far it has heard, and whether it may vouch for its memory.

use crate::nonce::Nonce;

/// A part of the key space with a bus of its own. There is one for keys, and one for what concerns whole caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Partition {
    /// Clears (and tags).
    Meta,
    /// Keys.
    Keys,
}

/// Where a partition stands: which message is its newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    /// Drawn when the partition came to be, or came to be anew.
    pub(crate) epoch: Nonce,
    /// The number of the newest message; 0 if there was none in this epoch.
    pub(crate) number: u64,
    /// The chain's newest link: drawn by whoever sent the newest message, or the epoch itself where there was none.
    pub(crate) chain: Nonce,
}
