//! One connection, and whoever keeps it.
//!
//! redis-rs gives us a connection that many callers share, and that is all it is asked for: it waits without end, never
//! leaves a server that has gone silent, and gives up reconnecting. So every call here has a deadline, a connection that
//! stays silent is replaced, and one task per link connects again for as long as the driver lives. Because only that task
//! connects, there is never more than one attempt at a time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, PushInfo, PushKind, RedisError, Value};

use super::breaker::Breaker;
use super::commands::Commands;
use super::courier::Outbox;
use super::line::{Answer, Caller, Line};
use super::options::RedisOptions;
use super::subscriber::Subscriber;
use super::{probe, reply};
use crate::driver::Fault;
use crate::rt::io::{self, Home, oneshot};

/// From the start of one attempt to connect to the start of the next, at least.
const SPACING: Duration = Duration::from_millis(500);
/// So many commands in a row without an answer for so long, and the connection is replaced: TCP may take minutes to notice
/// that the other side is gone, and a server that hangs never ends it. Not sooner, because commands that wait together for one
/// that is slow say no more than one does.
const SILENT_CALLS: u32 = 3;
const SILENT_FOR: Duration = Duration::from_millis(500);
/// Nor need there be so many if it takes this long.
const SILENT_AT_ALL: Duration = Duration::from_secs(1);
/// How much is read at once. redis-rs begins with 8 KiB and doubles that for an answer that is longer, for good: one that is, is asked
/// for first. A value of 10 KiB, when many come together, takes a seventh of a read and not more than one.
const READ_AT_ONCE: usize = 64 * 1024;

/// What the links of a driver count together.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) attempts: AtomicU64,
    /// What was sent as one and answered.
    pub(super) answered: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The transport failed, or the server refused: see the error's code.
    Failed(RedisError),
    /// Nothing happened for so long.
    TimedOut(Duration),
    /// It answered, and is not one that we can use.
    Unfit(String),
    /// Nothing runs where it was to live.
    Homeless,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "no connection within {limit:?}"),
            Self::Unfit(reason) => f.write_str(reason),
            Self::Homeless => {
                f.write_str("the runtime in the options has ended, or has no I/O (`enable_all` of its builder)")
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Link {
    name: &'static str,
    client: Client,
    options: RedisOptions,
    role: Role,
    state: Mutex<State>,
    /// Whether the server answers: where there are two ways to it for the same calls, they have one. Locked after the state.
    breaker: Arc<Mutex<Breaker>>,
    counts: Arc<Counts>,
    /// The connection was lost.
    lost: io::Signal,
    /// A caller would use a connection where it lives, and there is none.
    wanted: io::Signal,
}

/// What a link is for.
#[derive(Debug, Default)]
pub(super) struct Role {
    /// How many commands may be under way; the others wait for their turn.
    pub(super) in_flight: usize,
    /// The link of the bus has one.
    pub(super) subscriber: Option<Arc<Subscriber>>,
    /// Where its connection lives. On a runtime of the application it has no courier, and one caller at a time.
    pub(super) home: Home,
    /// For callers that come alone and live where that one's connection does.
    pub(super) near: Option<Arc<Link>>,
}

#[derive(Debug)]
struct State {
    connection: Option<Way>,
    /// Connected, and not to be used before its subscription stands.
    pending: Option<Way>,
    /// Counts the connections; whatever speaks of an earlier one is not heard.
    generation: u64,
    silence: Option<Silence>,
    last_attempt: Option<Instant>,
    closed: bool,
}

/// How commands get to a connection.
#[derive(Debug)]
enum Way {
    /// By a courier, with those of others.
    Shared(Outbox),
    /// By the caller; whoever does has a share in it meanwhile.
    Alone(Arc<Line>),
}

/// Commands that went unanswered in a row.
#[derive(Debug)]
struct Silence {
    since: Instant,
    calls: u32,
}

impl Link {
    pub(super) fn new(
        name: &'static str,
        client: Client,
        options: RedisOptions,
        role: Role,
        counts: Arc<Counts>,
    ) -> Arc<Self> {
        let state =
            State { connection: None, pending: None, generation: 0, silence: None, last_attempt: None, closed: false };
        let breaker = match &role.near {
            Some(near) => Arc::clone(&near.breaker),
            None => Arc::new(Mutex::new(Breaker::new(options.breaker_threshold, options.breaker_open))),
        };
        let [lost, wanted] = <[io::Signal; 2]>::default();
        Arc::new(Self { name, client, options, role, state: Mutex::new(state), breaker, counts, lost, wanted })
    }

    /// The link for callers that come alone.
    pub(super) fn near(&self) -> Option<&Arc<Self>> {
        self.role.near.as_ref()
    }

    /// Its connection lives on a runtime of the application.
    pub(super) fn is_lent(&self) -> bool {
        matches!(self.role.home, Home::Runtime(_))
    }

    /// Sends one command, and waits for its answer until `limit`. On any executor, or none.
    pub(super) async fn ask(&self, command: Cmd, limit: Duration) -> Result<Value, Fault> {
        let said = self.send(Commands::Made(vec![command]), limit, Answer::Values).await?;
        reply::accepted(said.into_iter().next().ok_or_else(reply::strange)?)
    }

    /// Sends several commands at once. Each has its own answer, which may be a refusal.
    pub(super) async fn ask_all(&self, commands: &Pipeline, limit: Duration) -> Result<Vec<Value>, Fault> {
        let commands: Vec<_> = commands.cmd_iter().cloned().collect();
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.send(Commands::Made(commands), limit, Answer::Values).await
    }

    /// Sends commands on the connection of now, unless there is none or the breaker is open, and waits for the answer until `limit`.
    pub(super) async fn send<T>(
        &self,
        commands: Commands<'_>,
        limit: Duration,
        answer: fn(oneshot::Sender<Result<T, Fault>>) -> Answer,
    ) -> Result<T, Fault> {
        let (answered, waits) = oneshot::channel();
        let answer = answer(answered);
        let admitted = || self.breaker.lock().admit(Instant::now).ok_or(Fault::Down);
        if let Some(near) = self.near()
            && near.role.home.is_here().await
            && !self.is_busy()
            && let Some(line) = near.alone()
        {
            let caller = Caller { limit, probe: admitted()?, answer };
            // In a box, because it is larger than everything else here.
            Box::pin(line.carry(commands.into(), caller)).await;
        } else {
            let courier = match &self.state.lock().connection {
                Some(Way::Shared(outbox)) => outbox.leave(commands, Caller { limit, probe: admitted()?, answer }),
                _ => return Err(Fault::Down),
            };
            if let Some(courier) = courier {
                courier.wake();
            }
        }
        waits.await.unwrap_or(Err(Fault::Unanswered))
    }

    /// Whether callers wait for their answers: one more is sent together with others of them.
    fn is_busy(&self) -> bool {
        matches!(&self.state.lock().connection, Some(Way::Shared(outbox)) if outbox.is_busy())
    }

    /// Its connection, if there is one and nobody uses it.
    fn alone(&self) -> Option<Arc<Line>> {
        match &self.state.lock().connection {
            Some(Way::Alone(line)) => return (Arc::strong_count(line) == 1).then(|| Arc::clone(line)),
            Some(Way::Shared(_)) => return None,
            None => {}
        }
        self.wanted.notify();
        None
    }

    /// The generation of the connection; `None` if there is none.
    pub(super) fn generation(&self) -> Option<u64> {
        let state = self.state.lock();
        state.connection.is_some().then_some(state.generation)
    }

    /// A caller uses its connection, alone.
    #[cfg(test)]
    pub(super) fn is_used(&self) -> bool {
        matches!(&self.state.lock().connection, Some(Way::Alone(line)) if Arc::strong_count(line) > 1)
    }

    pub(super) fn breaker_open(&self) -> bool {
        self.breaker.lock().is_open(Instant::now())
    }

    /// The server answered on the connection of this generation.
    pub(super) fn answered(&self, generation: u64) {
        self.counts.answered.fetch_add(1, Relaxed);
        self.breaker.lock().succeeded();
        let mut state = self.state.lock();
        if state.generation == generation {
            state.silence = None;
        }
    }

    /// What was sent at `since` was not answered: because the connection broke, or in time.
    pub(super) fn unanswered(&self, generation: u64, probe: bool, since: Instant, broken: bool) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let of_now = state.generation == generation;
        let replace = broken
            || of_now && {
                let silence = state.silence.get_or_insert(Silence { since, calls: 0 });
                silence.calls += 1;
                let lasts = now.duration_since(silence.since);
                lasts >= SILENT_AT_ALL || silence.calls >= SILENT_CALLS && lasts >= SILENT_FOR
            };
        drop(state);
        if of_now {
            self.breaker.lock().failed(probe, now);
        } else if probe {
            self.breaker.lock().given_up();
        }
        self.counts.unanswered.fetch_add(1, Relaxed);
        if replace {
            self.lose(generation);
        }
    }

    /// The caller that was to find out whether the server is back went away.
    pub(super) fn give_up_probe(&self) {
        self.breaker.lock().given_up();
    }

    /// Draws conclusions from a refusal.
    pub(super) fn note(&self, generation: u64, value: &Value) {
        let Value::ServerError(error) = value else { return };
        if error.code() == "NOSCRIPT" {
            // It will be sent in full: nothing was refused.
            return;
        }
        self.counts.refused.fetch_add(1, Relaxed);
        // No longer a master, or one that wants to know who we are: the address may lead elsewhere by now.
        if matches!(error.code(), "READONLY" | "NOAUTH") {
            self.lose(generation);
        }
    }

    /// Gives the connection up, if it is still that one.
    pub(super) fn lose(&self, generation: u64) {
        let given_up = {
            let mut state = self.state.lock();
            if state.generation != generation {
                return;
            }
            state.silence = None;
            (state.connection.take(), state.pending.take())
        };
        if given_up.0.is_some() {
            tracing::debug!(link = self.name, "lost the connection");
            self.lost.notify();
        }
    }

    /// Connects, once.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<(), Trouble> {
        let generation = {
            let mut state = self.state.lock();
            state.generation += 1;
            state.last_attempt = Some(Instant::now());
            state.generation
        };
        self.counts.attempts.fetch_add(1, Relaxed);
        let limit = self.options.connect_timeout;
        let attempt = self.role.home.run(Arc::clone(self).try_connect(generation));
        let connected = match io::within(limit, attempt).await {
            Some(ended) => ended.unwrap_or(Err(Trouble::Homeless)),
            None => Err(Trouble::TimedOut(limit)),
        };
        if connected.is_err() {
            self.lose(generation);
        }
        connected
    }

    async fn try_connect(self: Arc<Self>, generation: u64) -> Result<(), Trouble> {
        let link = Arc::downgrade(&self);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024)
            .set_push_sender(move |push| {
                hear(&link, generation, push);
                Ok::<_, std::convert::Infallible>(())
            });
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(Trouble::Failed)?;
        let hello = connection.send_packed_command(&redis::cmd("HELLO")).await.map_err(Trouble::Failed)?;
        reply::greeting(hello).map_err(Trouble::Unfit)?;
        let long = if self.role.subscriber.is_none() { READ_AT_ONCE * 3 / 4 } else { 0 };
        // What may write waits where writes do, as in a failover that is planned: a server that does no more than greet is as good as gone.
        let mut echo = redis::cmd("EVAL");
        echo.arg("return ARGV[1]").arg(0).arg(vec![b'.'; long]);
        connection.send_packed_command(&echo).await.map_err(Trouble::Failed)?;
        let line = Line::new(&self, generation, connection.clone());
        let way = match &self.role.home {
            Home::Thread => Way::Shared(Outbox::open(line, self.role.in_flight)),
            Home::Runtime(_) => Way::Alone(Arc::new(line)),
        };
        let before = self.state.lock().pending.replace(way);
        drop(before);
        match &self.role.subscriber {
            None => self.confirm(generation),
            // Its confirmation comes in before the first message does, and it is there that the link is up.
            Some(subscriber) => connection.subscribe(&subscriber.channels[..]).await.map_err(Trouble::Failed)?,
        }
        Ok(())
    }

    /// The connection of this generation may be used.
    fn confirm(&self, generation: u64) {
        let mut state = self.state.lock();
        if state.generation != generation || state.closed {
            return;
        }
        state.connection = state.pending.take();
        // It has just been answered.
        self.breaker.lock().succeeded();
        state.silence = None;
    }

    /// Keeps the link connected, for as long as there is where its connection lives.
    pub(super) async fn keep(self: Arc<Self>) {
        // Why there is no connection though somebody is there, as it was said last.
        let mut said = None;
        loop {
            self.watch().await;
            if self.is_lent() {
                // Nobody may be driving it but callers.
                self.wanted.notified().await;
            }
            let last_attempt = self.state.lock().last_attempt;
            if let Some(wait) = last_attempt.and_then(|last| (last + SPACING).checked_duration_since(Instant::now())) {
                // Nodes that lost the same server do not come back to it all at once.
                io::sleep(wait + jitter(SPACING / 2)).await;
            }
            let Err(trouble) = self.connect().await else {
                said = None;
                continue;
            };
            if self.is_lent() && matches!(trouble, Trouble::Homeless) {
                return;
            }
            let (server, why) = (self.options.server(), trouble.to_string());
            // Some reasons have the time in them.
            let reason = Some(why.replace(|c: char| c.is_ascii_digit(), ""));
            if probe::unreachable(&trouble) && !probe::starved(&trouble) || said == reason {
                tracing::debug!(link = self.name, server, why, "could not connect");
            } else {
                tracing::warn!(link = self.name, server, why, "the remote tier cannot be used");
                said = reason;
            }
        }
    }

    /// Returns when there is no connection.
    async fn watch(&self) {
        while self.generation().is_some() {
            self.lost.notified().await;
        }
        if let Some(subscriber) = &self.role.subscriber {
            subscriber.down();
        }
    }

    /// Ends the connection, and has no other.
    pub(super) fn close(&self) {
        let generation = {
            let mut state = self.state.lock();
            state.closed = true;
            state.generation
        };
        self.lose(generation);
    }
}

/// What the connection says by itself. Runs on the thread of connections, inside of the task that reads.
fn hear(link: &Weak<Link>, generation: u64, push: PushInfo) {
    let Some(link) = link.upgrade() else { return };
    if push.kind == PushKind::Disconnection {
        link.lose(generation);
    }
    if let Some(subscriber) = &link.role.subscriber {
        subscriber.hear(generation, push, || {
            link.confirm(generation);
            link.generation() == Some(generation)
        });
    }
}

fn jitter(most: Duration) -> Duration {
    most.mul_f64((crate::nonce::nonce() >> 96) as f64 / f64::from(u32::MAX))
}
