//! The remote tier in Redis.
//!
//! A driver has three connections, all on one thread of the library's own, so that neither a large value nor a message of
//! the bus has to wait behind the other, and no runtime of the application takes them with it when it ends:
//!
//! * `commands`: everything small;
//! * `large`: values of more than 256 KiB, and the log;
//! * `bus`: subscribed, and asked where the partitions stand.
//!
//! With [`RedisOptions::runtime`] there is one more, on that runtime: `near`, for what is small and comes alone.
//!
//! # Names in Redis
//!
//! For a namespace `ns`, with the braces that keep together in a cluster what belongs together:
//!
//! | name | type | content |
//! |---|---|---|
//! | `{hc:ns:0}…` | string | an entry |
//! | `{hc:ns:0}q`, `{hc:ns:m}q` | hash | `e` epoch, `n` number, `c` chain: of the keys, and of the meta partition |
//! | `{hc:ns:0}s`, `{hc:ns:m}s` | stream | the log: message `n` has the id `n-0` and the field `m` |
//! | `{hc:ns:0}w` | string, empty | there while any key may have an intent |
//! | `{hc:ns:m}f` | hash | the floors: name of a cache → number of its last clear; and the epoch, under the empty name |
//! | `{hc:ns:0}b<db>`, `{hc:ns:m}b<db>` | channel | messages of database `db`, whose number channels do not know |
//!
//! A message of a script: a byte 1, the epoch, the number (8 bytes, big-endian), the chain's link before, the link of this
//! message, and then what the cache added. A message that begins with a byte 3 is a driver's own test, followed by 16 bytes that it knows again.
//!
//! # Rights
//!
//! All that a user needs:
//!
//! ```text
//! ACL SETUSER app on >secret ~{hc:ns:* &{hc:ns:* +get +set +getrange +setrange +pttl +pexpire +unlink +hget +hset +hdel
//!     +hmget +hgetall +hincrby +xadd +xrange +publish +subscribe +eval +evalsha +time +ping
//! ```
//!
//! and `+select` for a database other than 0. With `+info` too, the driver warns of an eviction policy that does not fit.

mod breaker;
mod commands;
mod courier;
mod line;
mod link;
mod operations;
mod options;
mod probe;
mod reply;
mod scripts;
mod subscriber;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

pub use options::RedisOptions;

use crate::error::Error;
use crate::rt::io::{self, Home};
use link::{Counts, Link, Role, Trouble};
use subscriber::Subscriber;

/// Values above this travel on a connection of their own: at 1 Gbit/s they hold up what comes behind them for 2 ms and more.
const LARGE: usize = 256 * 1024;

/// The remote tier in Redis, for one namespace.
#[derive(Debug)]
pub(crate) struct RedisDriver {
    options: RedisOptions,
    names: Names,
    small: Arc<Link>,
    large: Arc<Link>,
    bus: Arc<Link>,
    subscriber: Arc<Subscriber>,
    counts: Arc<Counts>,
    /// Keys whose values were large when they were last seen, or may have been, by their hash; a neighbour may take another's place.
    large_keys: [AtomicU64; 1024],
    tasks: Mutex<Vec<io::Task<()>>>,
}

/// What a namespace has in Redis beside its entries; what each partition has is in their order.
#[derive(Debug)]
struct Names {
    sequences: [String; 2],
    logs: [String; 2],
    floors: String,
    writers: String,
    channels: [String; 2],
}

impl Names {
    fn new(namespace: &str, database: i64) -> Self {
        let each = |suffix: &str| ["m", "0"].map(|partition| format!("{{hc:{namespace}:{partition}}}{suffix}"));
        Self {
            sequences: each("q"),
            logs: each("s"),
            floors: format!("{{hc:{namespace}:m}}f"),
            writers: format!("{{hc:{namespace}:0}}w"),
            channels: each(&format!("b{database}")),
        }
    }
}

impl RedisDriver {
    /// Connects, and makes sure that this user may do on this server all that the driver will ever do. From then on it keeps
    /// itself connected. On any executor, or none. What a namespace may be is for the manager to say.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Remote`](crate::ErrorKind::Remote), which says what is wrong and what would be right: a bad URL, wrong
    /// credentials, a certificate that is not trusted, a server that cannot be reached (unless
    /// [`RedisOptions::connect_lazily`]), is too old or a replica, a missing right, a bus that does not deliver.
    pub(crate) async fn connect(namespace: &str, options: RedisOptions) -> Result<Arc<Self>, Error> {
        let (client, database) = options.client()?;
        let names = Names::new(namespace, database);
        let subscriber = Arc::new(Subscriber::new(names.channels.clone()));
        let counts = Arc::new(Counts::default());
        let link = |name, role| Link::new(name, client.clone(), options.clone(), role, Arc::clone(&counts));
        let lent = options.runtime.clone().map(Home::Runtime);
        let near = lent.map(|home| link("near", Role { home, ..Role::default() }));
        let driver = Arc::new(Self {
            small: link("commands", Role { in_flight: 1024, near, ..Role::default() }),
            large: link("large", Role { in_flight: 16, ..Role::default() }),
            bus: link("bus", Role { in_flight: 256, subscriber: Some(Arc::clone(&subscriber)), ..Role::default() }),
            options,
            names,
            subscriber,
            counts,
            large_keys: [const { AtomicU64::new(0) }; 1024],
            tasks: Mutex::new(Vec::new()),
        });
        let first = Arc::clone(&driver);
        Home::Thread
            .run(async move { first.start().await })
            .await
            .unwrap_or_else(|| Err(driver.options.error("there is no thread for connections")))?;
        Ok(driver)
    }

    /// Connects what can be connected, tests it, and has it kept.
    async fn start(self: Arc<Self>) -> Result<(), Error> {
        let mut reached = true;
        for link in self.links() {
            match link.connect().await {
                Ok(()) => {}
                // The application may not run yet what it lent.
                Err(Trouble::TimedOut(_)) if link.is_lent() => {}
                Err(trouble) if self.options.lazily && probe::unreachable(&trouble) => {
                    tracing::warn!(server = %self.options.server(), %trouble, "the remote tier cannot be reached yet");
                    reached = false;
                    break;
                }
                Err(trouble) => {
                    return Err(self.options.error(probe::explain(&trouble, &self.options.server(), &self.names)));
                }
            }
        }
        let mut tasks: Vec<_> = self.links().filter_map(|link| io::spawn(Arc::clone(link).keep())).collect();
        let tested = if reached { self.probe().await? } else { Err(String::new()) };
        if let Err(why) = tested {
            if !self.options.lazily {
                return Err(self.options.error(why));
            }
            let late = Arc::downgrade(&self);
            tasks.extend(io::spawn(async move { probe::when_reached(late).await }));
        }
        self.tasks.lock().append(&mut tasks);
        Ok(())
    }

    fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        [&self.small, &self.large, &self.bus].into_iter().chain(self.small.near())
    }
}

#[cfg(test)]
mod tests;
