//! One process among those that share a remote tier.
//!
//! This is where the rules of `coherence/` meet the bytes of a driver: what the bus brings is told to the [`Node`], what it
//! answers is done. One lock holds the node and what its events do to the caches together, so that no hit is vouched for before
//! the eviction that it depends on is in effect. No user code runs under it: keys are read before, values dropped after.

mod events;
mod intents;
mod leases;
mod members;
mod options;
mod steward;
mod wakes;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::bus::{self, NamedKey};
use crate::coherence::deferred::{Body, Text};
use crate::coherence::effect::Effect;
use crate::coherence::floors::{Born, Verdict};
use crate::coherence::node::{Mark, Node, Partition, Timing};
use crate::coherence::token::{ConsistencyToken, Seen};
use crate::driver::{Bump, Driver, Fault, Health};
use crate::nonce::{Nonce, nonce};
use crate::rt::broken::{HELD_OPEN, Rule, is_broken};
use crate::rt::io;
use crate::time::{Clock, Seldom, nanos};
use intents::Abandoned;
use leases::Leases;
use members::{AllDoomed, Members};
use steward::Steward;
use wakes::Wakes;

pub(crate) use intents::INTENT;
pub(crate) use leases::Lease;
pub(crate) use members::{Doomed, Held, Member};
pub(crate) use options::FleetOptions;
pub(crate) use wakes::Awake;

/// How many keys of evictions are kept that cannot be sent; beyond it, their caches are cleared instead.
const DEFERRED: usize = 10_000;
/// How long invalidations are witnessed, to be repeated should a failover lose them.
const WITNESS_FOR: u64 = 60_000_000_000;
/// How long a shutdown waits for what is owed to be sent.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often an invalidation is sent again because the server that acknowledged it may no longer be the one to ask.
const ROUNDS: usize = 3;

/// What a manager's remote tier is doing, by [`CacheManager::remote_health`](crate::CacheManager::remote_health).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteHealth {
    /// Connected for commands.
    pub connected: bool,
    /// Subscribed to the bus.
    pub subscribed: bool,
    /// The breaker refuses commands for now.
    pub breaker_open: bool,
    /// Memory may answer for `bounded` caches. This is false in a process that has read nothing for ten times its
    /// [`staleness_bound`](crate::ManagerBuilder::staleness_bound), 20 s by default: it is idle, and asks Redis again when it reads
    /// again. So false does not mean that something is wrong, and this is not a readiness check.
    pub in_step: bool,
    /// How long ago this process was last known to have heard everything; `None` if it never was.
    pub last_word: Option<Duration>,
    /// How long the bus took to answer when it was last asked: whatever other processes had published by then arrived here
    /// within this time. `None` before the first answer.
    pub bus_lag: Option<Duration>,
    /// Invalidations wait to be sent.
    pub deferred: bool,
    /// How many: keys that were evicted or put, and caches that were cleared.
    pub queued: usize,
    /// How often messages of the bus were found to be missing and were read from the server's log instead. What the log did not have
    /// counts in [`floors_raised`](Self::floors_raised).
    pub gaps: u64,
    /// How often memory started anew because invalidations may have been lost; the first time is when it starts.
    pub floors_raised: u64,
    /// Attempts to connect.
    pub attempts: u64,
    /// Commands that went unanswered.
    pub unanswered: u64,
    /// Commands that the server refused.
    pub refused: u64,
}

/// What the caches of a process share that have the same remote tier.
pub(crate) struct Fleet {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) namespace: String,
    /// Names this process on the bus.
    pub(crate) id: u64,
    pub(crate) clock: Clock,
    node: Mutex<Node>,
    /// That of the node.
    generation: AtomicU64,
    /// Up to this instant, as the coarse clock shows it, memory may answer for `bounded` caches (R6). 0: it may not.
    vouched_until: AtomicU64,
    /// Every invalidation that was acknowledged before this instant is in effect here.
    synced_at: AtomicU64,
    fresh_for: u64,
    /// That of the clock, which has to ask the kernel for it.
    lag: u64,
    /// The newest own invalidations that were acknowledged.
    newest: Mutex<ConsistencyToken>,
    floors_raised: AtomicU64,
    gaps: AtomicU64,
    /// In nanoseconds; 0 before there is any.
    bus_lag: AtomicU64,
    /// Whether it may be said again that the server refuses.
    complains: Seldom,
    members: Members,
    wakes: Wakes,
    leases: Arc<Leases>,
    abandoned: Abandoned,
    steward: Steward,
    me: Weak<Self>,
}

/// What a read of the remote tier has to know before it asks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// When that was; it has asked nothing yet.
    pub(crate) asked: u64,
    pub(crate) generation: u64,
    /// When a record is born that is loaded from here on; `None` if that cannot be said.
    pub(crate) born: Option<Born>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.leases.end();
        self.steward.fence();
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Fleet {
    pub(crate) fn start(driver: Arc<dyn Driver>, namespace: String, options: &FleetOptions) -> Arc<Self> {
        let clock = Clock::kernel();
        let heartbeat = nanos(options.heartbeat());
        let id = nonce() as u64;
        let timing = Timing {
            fresh_for: nanos(options.staleness_bound),
            heartbeat,
            lag: clock.lag(),
            witness_for: if is_broken(Rule::Witness) { 0 } else { WITNESS_FOR },
            // Spread over a heartbeat, so that not all nodes repeat at once what a failover lost.
            replay_others_after: heartbeat + id % heartbeat,
        };
        let leases = Arc::new(Leases::default());
        let fleet = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            driver,
            namespace,
            id,
            node: Mutex::new(Node::new(timing, DEFERRED, clock.now_precise())),
            clock,
            generation: AtomicU64::new(0),
            vouched_until: AtomicU64::new(0),
            synced_at: AtomicU64::new(0),
            fresh_for: timing.fresh_for,
            lag: timing.lag,
            newest: Mutex::new(ConsistencyToken::NOTHING),
            floors_raised: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            bus_lag: AtomicU64::new(0),
            complains: Seldom::default(),
            members: Members::default(),
            wakes: Wakes::default(),
            leases: Arc::clone(&leases),
            abandoned: Abandoned::default(),
            steward: Steward::new(),
        });
        fleet.steward.employ(&fleet, leases, options.heartbeat());
        let listener = Arc::downgrade(&fleet);
        fleet.driver.subscribe(Box::new(move |event| {
            if let Some(fleet) = Weak::upgrade(&listener) {
                fleet.on_bus(event);
            }
        }));
        fleet
    }

    /// A cache takes part from here on.
    pub(crate) fn join(&self, member: &Arc<impl Member>) {
        self.members.add(member);
    }

    /// For how long keys of caches of this name settle.
    pub(crate) fn settle(&self, name: &str) -> Duration {
        self.members.settle(name)
    }

    /// Whether memory may answer for a `bounded` cache at `now`, as the coarse clock shows it (R6).
    #[inline]
    pub(crate) fn vouches(&self, now: u64) -> bool {
        now < self.vouched_until.load(Ordering::Acquire) || is_broken(Rule::Fence)
    }

    /// How old the answers of `bounded` caches may be.
    pub(crate) fn staleness_bound(&self) -> Duration {
        Duration::from_nanos(self.fresh_for)
    }

    /// When this process was last known to have heard everything; 0 if never.
    pub(crate) fn synced_at(&self) -> u64 {
        self.synced_at.load(Ordering::Acquire)
    }

    /// Flights that began before this may not be joined (R8).
    pub(crate) fn horizon(&self) -> u64 {
        let now = self.clock.now();
        // As late as it can be, while a flight began no earlier than it says.
        if self.vouches(now) { 0 } else { now.saturating_add(self.lag).saturating_sub(self.fresh_for) }
    }

    /// Read when a command is sent and compared when its reply is there: a reply of before says nothing any more (R12).
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A cache reads from the remote tier: the generation to compare with, and when a record is born that is loaded now.
    pub(crate) fn reading(&self) -> Reading {
        self.read(|_| true).unwrap_or_default()
    }

    /// [`reading`](Self::reading) of a key. `None` if an eviction of it waits to be sent, so that what the remote tier has may be older
    /// than what this process wrote.
    pub(crate) fn reading_of(&self, name: &str, text: &str) -> Option<Reading> {
        self.read(|node| !node.owes(name, text.as_bytes()))
    }

    /// All that a read has to know before it asks, under one lock.
    fn read(&self, may: impl FnOnce(&Node) -> bool) -> Option<Reading> {
        let asked = self.clock.now_precise();
        let (reading, fence) = {
            let mut node = self.node.lock();
            let fence = !node.read(asked).is_empty();
            let reading = Reading { asked, generation: node.generation(), born: node.born(asked) };
            (may(&node).then_some(reading), fence)
        };
        // All that a read ever brings about.
        if fence {
            self.steward.fence();
        }
        reading
    }

    /// Whether a record of the remote tier may be used (R14).
    pub(crate) fn judge(&self, born: Born, name: &str) -> Verdict {
        // As late as it can be: the cheap clock, and by how much that may lag.
        let now = self.clock.now().saturating_add(self.lag);
        self.node.lock().judge(born, name, now)
    }

    /// Loads what is known of clears, for who has to judge a record now.
    pub(crate) async fn load_floors(&self) -> Result<(), Fault> {
        // Before the first byte is sent: what the answer knows is counted from here.
        let ticket = self.node.lock().floors_asked(self.clock.now_precise());
        let (mark, table) = self.driver.floors().await?;
        self.act(|node, now| {
            let table = table.into_iter().map(|(name, clock)| (Arc::from(name), clock));
            ((), node.floors_loaded(ticket, mark, table, now))
        });
        Ok(())
    }

    /// A place among those who wait for a key's announcement.
    pub(crate) fn wait(&self, name: &str, text: &str) -> Awake<'_> {
        self.wakes.wait(name, text)
    }

    /// Sends an invalidation by `send`, until a server has acknowledged it that is known to be the one of now. `doomed` is what it
    /// removes here, `over` the intent of a write that is over with it. Dropped before its end, or without an answer, both are queued:
    /// evicting twice is always safe.
    pub(crate) async fn invalidate<F, T>(
        self: &Arc<Self>,
        partition: Partition,
        body: Body,
        over: Option<Nonce>,
        doomed: Vec<Box<dyn Doomed>>,
        mut send: impl FnMut(Nonce) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<(Mark, T), Fault>>,
    {
        let mut unsent = Unsent { fleet: self, body: Some(body.clone()), over };
        let body = &body;
        let mut doomed = AllDoomed(doomed);
        let mut fault = Fault::Unanswered;
        for _ in 0..ROUNDS {
            let generation = self.generation();
            if is_broken(Rule::OwnAnswer) {
                // It is about what is read meanwhile, which else is a matter of microseconds.
                io::sleep(HELD_OPEN).await;
            }
            match send(nonce()).await {
                Ok((mark, answer)) => {
                    // Interleaving that this defeats: two caches here share a name; one evicts, and the answer comes before the
                    // message, which is not applied any more then; the other serves what it has until its lifetime ends. It may
                    // have been built since this was sent, and have found then what is removed now.
                    if let Body::Keys(keys) = body
                        && keys.first().is_some_and(|text| self.members.are_several(&text.cache))
                    {
                        doomed.0.append(&mut self.doomed(body).0);
                    }
                    if is_broken(Rule::OwnAnswer) {
                        doomed.0.clear();
                    }
                    let acknowledged = self.act_on(&mut doomed, |node, now| {
                        let (counts, effects) = node.acknowledged(generation, partition, mark, body, now);
                        if counts {
                            self.note(partition, mark);
                        }
                        (counts, effects)
                    });
                    if acknowledged {
                        unsent.body = None;
                        return Ok(answer);
                    }
                }
                Err(refused) => {
                    self.refused(&refused);
                    fault = refused;
                    break;
                }
            }
        }
        Err(fault)
    }

    /// Clears a cache everywhere, by its name; memory here is rid of it already. One round trip, whatever its size.
    pub(crate) async fn clear(self: &Arc<Self>, name: &Arc<str>) -> Result<(), Fault> {
        let body = Body::Clear(Arc::clone(name));
        let (driver, tail) = (&self.driver, &self.tail(&body));
        let clear = |chain| async move { Ok((driver.clear(name, Bump { chain, tail }).await?, ())) };
        self.invalidate(Partition::Meta, body, None, Vec::new(), clear).await
    }

    /// Queues an invalidation that could not be sent, or was not answered, and rids memory of what it removes.
    ///
    /// Interleaving that the second part defeats: memory is rid of a key, and the evict is sent on a connection that has just
    /// died; a read finds the old value on another one and keeps it; the evict returns unanswered; the next hit is the old value.
    pub(crate) fn defer(&self, body: &Body) {
        let mut doomed = if is_broken(Rule::OwnQueue) { AllDoomed::default() } else { self.doomed(body) };
        let gone = match body {
            Body::Keys(keys) => Effect::Kill(Arc::clone(keys)),
            Body::Clear(name) => Effect::Clear(Arc::clone(name)),
            Body::Floor => Effect::RaiseFloor,
        };
        self.act_on(&mut doomed, |node, now| {
            let mut effects = vec![gone];
            effects.extend(node.defer(body, now));
            ((), effects)
        });
    }

    /// A command failed: one that was refused because the server is no master any more says that replies of before count no longer.
    pub(crate) fn refused(&self, fault: &Fault) {
        self.complain(fault);
        if fault.is_of_no_master() {
            self.act(|node, now| ((), node.refused(now)));
        }
    }

    /// Says that the server refuses: it answers, and so nothing else does. Not each time, which may be for every call.
    fn complain(&self, fault: &Fault) {
        if matches!(fault, Fault::Refused { .. }) && self.complains.may(self.clock.now()) {
            tracing::warn!(namespace = %self.namespace, %fault, "the remote tier does not do what it is asked");
        }
    }

    /// Does something in the background, on the thread of connections. A shutdown waits for it.
    pub(crate) fn run_later(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.steward.errands.spawn(work);
    }

    /// An own invalidation was acknowledged. To be told in the same step as the node.
    ///
    /// Interleaving that one step defeats: an evict of before Redis was emptied is answered, then one of after it, which is noted; the
    /// first takes its place, and names nothing any more; the token is none.
    fn note(&self, partition: Partition, Mark { epoch, number, .. }: Mark) {
        self.newest.lock().note(partition, Seen { epoch, number });
    }

    /// What this process has had acknowledged.
    pub(crate) fn token(&self) -> Option<ConsistencyToken> {
        let newest = *self.newest.lock();
        self.node.lock().current(newest)
    }

    /// Returns when the invalidations that a token names are in effect in this process, or when memory has started anew.
    ///
    /// Tokens come from outside: a cookie may be of an epoch that is over, or of no number that was ever given. Neither is waited for
    /// in vain. Whatever was acknowledged before this call is in effect once a fence is answered that was asked for after it began;
    /// if the token is unknown even then, the fleet's past has no such invalidation, and memory nothing that is older than that past.
    pub(crate) async fn catch_up(&self, token: ConsistencyToken) {
        let has_seen = || self.node.lock().has_seen(token);
        if has_seen() {
            return;
        }
        // A read follows: should this fence not be answered, the next heartbeat asks, also where this process was idle.
        let began = self.reading().asked;
        self.steward.fence();
        let caught_up = async {
            while self.synced_at() < began && !has_seen() {
                self.steward.told().await;
            }
        };
        if io::within(self.staleness_bound(), caught_up).await.is_none() {
            // Nobody answers: whatever memory holds may be older.
            self.raise_floor();
        }
    }

    pub(crate) fn health(&self) -> RemoteHealth {
        let Health { connected, subscribed, breaker_open, attempts, unanswered, refused } = self.driver.health();
        let now = self.clock.now();
        let (synced_at, queued) = (self.synced_at(), self.node.lock().owing());
        let bus_lag = self.bus_lag.load(Ordering::Relaxed);
        RemoteHealth {
            connected,
            subscribed,
            breaker_open,
            in_step: self.vouches(now),
            last_word: (synced_at != 0).then(|| Duration::from_nanos(now.saturating_sub(synced_at))),
            bus_lag: (bus_lag != 0).then(|| Duration::from_nanos(bus_lag)),
            deferred: queued > 0,
            queued,
            gaps: self.gaps.load(Ordering::Relaxed),
            floors_raised: self.floors_raised.load(Ordering::Relaxed),
            attempts,
            unanswered,
            refused,
        }
    }

    /// Sends what is queued, as far as the remote tier lets it, and ends the connections.
    pub(crate) async fn shutdown(&self) {
        let sent = async {
            // Interleaving that this defeats: a write is given up, and all that is left of it is an intent, which somebody is about to
            // take away; nothing is owed, and who was about to is ended; nobody fills the key for half a minute.
            self.steward.errands.finish().await;
            while self.node.lock().is_owing() {
                self.steward.told().await;
            }
            // Interleaving that this order defeats: a heartbeat has them withdrawn, one after the other; none is left to be withdrawn
            // here; who does it is dismissed, and with it go those whose turn had not come.
            self.steward.crew.dismiss().await;
            self.withdraw().await;
        };
        io::within(FAREWELL, sent).await;
        self.steward.crew.dismiss().await;
        let _ = self.driver.close().await;
    }

    /// The keys of the remote tier that an invalidation of these removes: those of each version that a cache here has, the one before
    /// and the one after. `None` if a cache is not known here.
    fn remote_keys(&self, keys: &[Text]) -> Option<Vec<Vec<u8>>> {
        let mut all = Vec::with_capacity(3 * keys.len());
        for text in keys {
            all.extend(self.members.remote_keys(&self.namespace, text)?);
        }
        Some(all)
    }

    /// What a message of this process says after its numbers.
    pub(crate) fn tail(&self, body: &Body) -> Vec<u8> {
        match body {
            Body::Keys(keys) => bus::keys_tail(self.id, keys.iter().filter_map(named)),
            Body::Clear(name) => bus::clear_tail(self.id, name),
            Body::Floor => bus::floor_tail(self.id),
        }
    }
}

fn named(text: &Text) -> Option<NamedKey<'_>> {
    Some(NamedKey { name: &text.cache, text: str::from_utf8(&text.key).ok()? })
}

/// An invalidation that nobody has acknowledged yet. Dropped, it is queued, and so is the end of an intent.
struct Unsent<'f> {
    fleet: &'f Fleet,
    body: Option<Body>,
    over: Option<Nonce>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.fleet.defer(&body);
            if let Some(intent) = self.over {
                self.fleet.abandon(intent, &body);
            }
        }
    }
}
