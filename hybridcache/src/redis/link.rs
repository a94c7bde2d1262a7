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
use super::courier::{Answer, Caller, Commands, Outbox};
use super::options::RedisOptions;
use super::reply;
use super::subscriber::Subscriber;
use crate::driver::Fault;
use crate::rt::io::{self, oneshot};

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
/// How often the connection of the bus, on which nothing may ever be said, is asked whether it still is one.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// What the links of a driver count together.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) attempts: AtomicU64,
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
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "no connection within {limit:?}"),
            Self::Unfit(reason) => f.write_str(reason),
        }
    }
}

#[derive(Debug)]
pub(super) struct Link {
    name: &'static str,
    client: Client,
    options: RedisOptions,
    /// How many commands may be under way; the others wait for their turn.
    in_flight: usize,
    /// The link of the bus has one.
    subscriber: Option<Arc<Subscriber>>,
    state: Mutex<State>,
    counts: Arc<Counts>,
    /// The connection was lost.
    lost: io::Signal,
}

#[derive(Debug)]
struct State {
    connection: Option<Outbox>,
    /// Connected, and not to be used before its subscription stands.
    pending: Option<Outbox>,
    /// Counts the connections; whatever speaks of an earlier one is not heard.
    generation: u64,
    silence: Option<Silence>,
    breaker: Breaker,
    last_attempt: Option<Instant>,
    closed: bool,
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
        in_flight: usize,
        subscriber: Option<Arc<Subscriber>>,
        counts: Arc<Counts>,
    ) -> Arc<Self> {
        let state = State {
            connection: None,
            pending: None,
            generation: 0,
            silence: None,
            breaker: Breaker::new(options.breaker_threshold, options.breaker_open),
            last_attempt: None,
            closed: false,
        };
        let (state, lost) = (Mutex::new(state), io::Signal::default());
        Arc::new(Self { name, client, options, in_flight, subscriber, state, counts, lost })
    }

    /// Sends one command, and waits for its answer until `limit`. On any executor, or none.
    pub(super) async fn ask(&self, command: Cmd, limit: Duration) -> Result<Value, Fault> {
        let said = self.send(Commands::Made(vec![command]), limit, Answer::Values)?.await?;
        reply::accepted(said.into_iter().next().ok_or_else(reply::strange)?)
    }

    /// Sends several commands at once. Each has its own answer, which may be a refusal.
    pub(super) async fn ask_all(&self, commands: &Pipeline, limit: Duration) -> Result<Vec<Value>, Fault> {
        let commands: Vec<_> = commands.cmd_iter().cloned().collect();
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.send(Commands::Made(commands), limit, Answer::Values)?.await
    }

    /// Leaves commands to be sent on the connection of now, unless there is none or the breaker is open. What is returned waits for the
    /// answer, until `limit`.
    pub(super) fn send<T>(
        &self,
        commands: Commands<'_>,
        limit: Duration,
        answer: fn(oneshot::Sender<Result<T, Fault>>) -> Answer,
    ) -> Result<impl Future<Output = Result<T, Fault>> + use<T>, Fault> {
        let (answered, waits) = oneshot::channel();
        let courier = {
            let mut state = self.state.lock();
            let State { connection, breaker, .. } = &mut *state;
            let connection = connection.as_ref().ok_or(Fault::Down)?;
            let probe = breaker.admit(Instant::now).ok_or(Fault::Down)?;
            connection.leave(commands, Caller { limit, probe, answer: answer(answered) })
        };
        if let Some(courier) = courier {
            courier.wake();
        }
        Ok(async { waits.await.unwrap_or(Err(Fault::Unanswered)) })
    }

    /// The generation of the connection; `None` if there is none.
    pub(super) fn generation(&self) -> Option<u64> {
        let state = self.state.lock();
        state.connection.is_some().then_some(state.generation)
    }

    pub(super) fn breaker_open(&self) -> bool {
        self.state.lock().breaker.is_open()
    }

    /// The server answered on the connection of this generation.
    pub(super) fn answered(&self, generation: u64) {
        let mut state = self.state.lock();
        state.breaker.succeeded();
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
        if of_now {
            state.breaker.failed(probe, now);
        } else if probe {
            state.breaker.given_up();
        }
        drop(state);
        self.counts.unanswered.fetch_add(1, Relaxed);
        if replace {
            self.lose(generation);
        }
    }

    /// The caller that was to find out whether the server is back went away.
    pub(super) fn give_up_probe(&self) {
        self.state.lock().breaker.given_up();
    }

    /// Draws conclusions from a refusal.
    pub(super) fn note(&self, generation: u64, value: &Value) {
        let Value::ServerError(error) = value else { return };
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
        let connected = io::within(limit, self.try_connect(generation)).await.unwrap_or(Err(Trouble::TimedOut(limit)));
        if connected.is_err() {
            self.lose(generation);
        }
        connected
    }

    async fn try_connect(self: &Arc<Self>, generation: u64) -> Result<(), Trouble> {
        let link = Arc::downgrade(self);
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
        if self.subscriber.is_none() {
            let long = vec![b'.'; READ_AT_ONCE * 3 / 4];
            connection.send_packed_command(redis::cmd("PING").arg(long)).await.map_err(Trouble::Failed)?;
        }
        let outbox = Outbox::open(self, generation, connection.clone(), self.in_flight);
        let before = self.state.lock().pending.replace(outbox);
        drop(before);
        match &self.subscriber {
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
        state.breaker.succeeded();
        state.silence = None;
    }

    /// Keeps the link connected, for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            self.watch().await;
            let last_attempt = self.state.lock().last_attempt;
            if let Some(wait) = last_attempt.and_then(|last| (last + SPACING).checked_duration_since(Instant::now())) {
                // Nodes that lost the same server do not come back to it all at once.
                io::sleep(wait + jitter(SPACING / 2)).await;
            }
            if let Err(trouble) = self.connect().await {
                tracing::debug!(link = self.name, %trouble, "could not connect");
            }
        }
    }

    /// Returns when there is no connection.
    async fn watch(&self) {
        while let Some(generation) = self.generation() {
            match &self.subscriber {
                None => self.lost.notified().await,
                Some(_) => {
                    let quiet = io::within(HEARTBEAT, self.lost.notified()).await.is_none();
                    if quiet && self.ask(redis::cmd("PING"), HEARTBEAT).await.is_err() {
                        self.lose(generation);
                    }
                }
            }
        }
        if let Some(subscriber) = &self.subscriber {
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
    if let Some(subscriber) = &link.subscriber {
        subscriber.hear(generation, push, || {
            link.confirm(generation);
            link.generation() == Some(generation)
        });
    }
}

fn jitter(most: Duration) -> Duration {
    most.mul_f64((crate::nonce::nonce() >> 96) as f64 / f64::from(u32::MAX))
}
