//! The contract between the cache and a remote tier.
//!
//! A driver moves bytes: it knows nothing of values, codecs or lifetimes, and decides nothing. What each of its
//! operations does on the server is one step there, and one round trip. Who may fill, what a message means and when a
//! node may serve from its memory is decided by `coherence/`, which a driver never sees.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::coherence::node::{Mark, Partition};
use crate::nonce::Nonce;

/// An operation under way. Dropping it gives the wait up; what was sent may still be executed.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// Why a remote tier did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// There is no connection, or the breaker is open: nothing was sent.
    #[error("the remote tier cannot be reached")]
    Down,
    /// No answer in time, or the connection ended before there was one: it may have been executed, or may still be.
    #[error("the remote tier did not answer in time")]
    Unanswered,
    /// The server refused: its error code, such as `OOM`, `READONLY`, `NOPERM`, `WRONGTYPE`, `LOADING`, `BUSY`.
    #[error("the remote tier refused: {code}")]
    Refused {
        /// The first word of the server's error.
        code: String,
    },
}

impl Fault {
    /// Said by a server that is not, or no longer, the master to ask.
    pub(crate) fn is_of_no_master(&self) -> bool {
        let codes = ["READONLY", "MASTERDOWN", "NOREPLICAS", "MOVED"];
        matches!(self, Self::Refused { code } if codes.contains(&code.as_str()))
    }
}

/// How long a record lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lives {
    /// From now on, unless it is touched.
    pub(crate) now: Duration,
    /// However often it is touched. The server writes into the record when that is (`ENDS_AT`), by its own clock.
    pub(crate) at_most: Option<Duration>,
}

/// What was found under a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The record that was there; `None` if there was none and the lease that was offered stands there now.
    pub(crate) record: Option<Vec<u8>>,
    /// How much longer the record lives, where it was asked for and the record has an end. Zero where that is not known.
    pub(crate) remaining: Option<Duration>,
}

/// What became of a fill.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Filled {
    /// The lease stood, and the record stands in its place.
    Kept,
    /// Something else stands there, or nothing.
    Rejected,
}

/// What a waiter for another node's lease learns.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The lease stands and is flagged: its fill will be announced. It ends by itself after this long.
    Flagged {
        /// What is left of the lease.
        remaining: Duration,
    },
    /// Something else stands there by now, or nothing: look again.
    Gone,
}

/// What an invalidation says about itself, and what it removes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bump<'a> {
    /// The link of the chain that this invalidation becomes.
    pub(crate) chain: Nonce,
    /// What follows the numbers in the message: sender and body, encoded by `bus`.
    pub(crate) tail: &'a [u8],
}

/// What a put puts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put<'a> {
    /// The value, as a record.
    pub(crate) record: &'a [u8],
    /// For how long.
    pub(crate) lives: Lives,
    /// The intent under which it was written.
    pub(crate) ended: Option<Nonce>,
    /// How long the key settles for if it is not put.
    pub(crate) settle: Duration,
}

/// What happens on the bus. Delivered in order, one at a time, from the driver's own task: the receiver must not wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BusEvent<'a> {
    /// Subscribed, on a new connection: whatever was sent before is lost.
    Up,
    /// A message, whole, as `bus` encodes it.
    Message {
        /// On which channel it came.
        partition: Partition,
        /// The message.
        bytes: &'a [u8],
    },
    /// The connection is gone, or no longer that of a master.
    Down,
}

/// Where the events of the bus go.
pub(crate) type Listener = Box<dyn Fn(BusEvent<'_>) + Send + Sync>;

/// A remote tier. `key`s are whole, as `key` spells them; records are whole, as `record` encodes them.
pub(crate) trait Driver: fmt::Debug + Send + Sync + 'static {
    /// Reads a record, and changes nothing.
    fn get<'a>(&'a self, key: &'a [u8], with_remaining: bool) -> Answer<'a, Found>;

    /// Reads a record; where there is none, plants `lease` for `lease_for`. Where the server has no memory for a lease it
    /// is [`Fault::Refused`] (`OOM`) only if there is no record either.
    fn get_or_lease<'a>(
        &'a self,
        key: &'a [u8],
        lease: &'a [u8],
        lease_for: Duration,
        with_remaining: bool,
    ) -> Answer<'a, Found>;

    /// The bytes of a record that [`get`](Self::get) or [`get_or_lease`](Self::get_or_lease) found are not needed any more. To be told
    /// where it is often so; it only saves time.
    fn spent(&self, record: Vec<u8>);

    /// Puts `record`, a value, in the place of exactly this lease (its waiter flag aside). If the lease was flagged, publishes
    /// `wake` on the channel of the partition.
    fn fill<'a>(
        &'a self,
        key: &'a [u8],
        lease: &'a [u8],
        record: &'a [u8],
        lives: Lives,
        wake: &'a [u8],
    ) -> Answer<'a, Filled>;

    /// Puts `lease` in the place of exactly this record: one that was found dead (undecodable, cleared, of another schema).
    /// `false` if something else is there by now.
    fn lease_over<'a>(
        &'a self,
        key: &'a [u8],
        record: &'a [u8],
        lease: &'a [u8],
        lease_for: Duration,
    ) -> Answer<'a, bool>;

    /// Lets exactly these leases, each by its key, live for so long from now. How many of them stand still.
    fn renew<'a>(&'a self, leases: &'a [(&'a [u8], &'a [u8], Duration)]) -> Answer<'a, i64>;

    /// Takes exactly this record away. If it is a lease and was flagged, publishes `wake`.
    fn release<'a>(&'a self, key: &'a [u8], lease: &'a [u8], wake: &'a [u8]) -> Answer<'a, ()>;

    /// Flags exactly this lease, so that its fill or release is announced.
    fn await_fill<'a>(&'a self, key: &'a [u8], lease: &'a [u8]) -> Answer<'a, Awaited>;

    /// Lets the value whose version is `version` live for `lives` from now, if it is that one that stands there and has less left, and
    /// not past its [`Lives::at_most`]. Returns how long it lives from now on; `None` if another stands there, or none.
    fn touch<'a>(&'a self, key: &'a [u8], version: Nonce, lives: Duration) -> Answer<'a, Option<Duration>>;

    /// Removes what is under the keys (up to 1 000), but for intents of other writers: they stay, each until it ends. The intent
    /// `ended` goes too; with `planted` that one is there from now on, for so long. Then takes the next number, then publishes. In
    /// this order. The `bool` is whether `ended` no longer stood on one of the keys.
    fn evict<'a>(
        &'a self,
        keys: &'a [Vec<u8>],
        ended: Option<Nonce>,
        planted: Option<(Nonce, Duration)>,
        bump: Bump<'a>,
    ) -> Answer<'a, (Mark, bool)>;

    /// Puts a value, and ends the intent `ended`: with one, only if nobody else has touched the key since it was planted, without
    /// one, only if no other writer has one. Else, and where the server has no memory for it, this is an evict, which loads do not
    /// fill again for `settle`. The `others` are evicted. Then takes the next number, then publishes. The `bool` is whether the
    /// record was put.
    fn put<'a>(
        &'a self,
        key: &'a [u8],
        others: &'a [Vec<u8>],
        put: Put<'a>,
        bump: Bump<'a>,
    ) -> Answer<'a, (Mark, bool)>;

    /// Whether a record is so large that what is sent after it may be executed before it.
    fn is_slow(&self, record: &[u8]) -> bool;

    /// Notes that everything of the cache `name` (`*` for all of the namespace) that is older than the number this takes is dead, and
    /// publishes it. On [`Partition::Meta`].
    fn clear<'a>(&'a self, name: &'a str, bump: Bump<'a>) -> Answer<'a, Mark>;

    /// Takes a number of a partition and publishes it, and nothing else.
    fn bump<'a>(&'a self, partition: Partition, bump: Bump<'a>) -> Answer<'a, Mark>;

    /// Where both partitions stand, as `[meta, keys]`, asked on the connection of the bus: what was published before the answer has
    /// been delivered when the answer arrives. Write-class, so that a master that was fenced off refuses it. Partitions without a
    /// number get a new epoch first.
    fn fence(&self) -> Answer<'_, [Mark; 2]>;

    /// The floors, each cache by its name with the number of its last clear, and where the meta partition stood when they were read. Asked
    /// on the connection of commands: they are no fence. A table that is lost gets a new epoch of the meta partition first.
    fn floors(&self) -> Answer<'_, (Mark, Vec<(String, u64)>)>;

    /// The messages of a partition after `number`, oldest first; empty if the log does not reach back so far, there is none, or it is
    /// more than it pays to go through.
    fn log_after(&self, partition: Partition, number: u64) -> Answer<'_, Vec<Vec<u8>>>;

    /// Sends the events of the bus to `listener` from here on, first [`BusEvent::Up`] if it is up. Called once.
    fn subscribe(&self, listener: Listener);

    /// What the connections are doing.
    fn health(&self) -> Health;

    /// Ends the connections and what runs for them.
    fn close(&self) -> Answer<'_, ()>;
}

/// What the connections of a driver are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Connected for commands.
    pub(crate) connected: bool,
    /// Subscribed to the bus.
    pub(crate) subscribed: bool,
    /// The breaker refuses commands for now.
    pub(crate) breaker_open: bool,
    /// Attempts to connect, so far.
    pub(crate) attempts: u64,
    /// Commands that went unanswered, so far.
    pub(crate) unanswered: u64,
    /// Commands that were refused by the server, so far.
    pub(crate) refused: u64,
}
