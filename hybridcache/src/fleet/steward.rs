//! What a fleet does by itself: asks where the others stand, renews its leases, sends what is owed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Fleet;
use super::leases::{self, Leases};
use super::members::AllDoomed;
use crate::bus::Message;
use crate::coherence::deferred::{Body, Text};
use crate::coherence::node::{Mark, Partition, Ticket};
use crate::driver::{Bump, Fault};
use crate::nonce::nonce;
use crate::record::settling;
use crate::rt::broken::{HELD_OPEN, Rule, is_broken};
use crate::rt::io::{self, Crew, Signal};

/// How often the log is asked for while its connection is not there, and when again: in all as long as two attempts to connect take.
const LOG_LOOKS: usize = 20;
const LOG_LOOKS_AGAIN: Duration = Duration::from_millis(50);

/// The tasks of a fleet. The endless ones hold it weakly, and all end with it.
#[derive(Debug)]
pub(super) struct Steward {
    beat: Arc<Signal>,
    /// Once it is dismissed the fleet is being left.
    pub(super) crew: Crew,
    /// What is to be done all the same, each of it soon.
    pub(super) errands: Crew,
    /// The node heard of something.
    heard: Signal,
}

/// What the node wants done.
#[derive(Debug)]
pub(super) enum Job {
    LoadFloors,
    ReadLog(Partition, u64),
    Replay(Body),
    Withdraw,
}

impl Steward {
    pub(super) fn new() -> Self {
        Self { beat: Arc::default(), crew: Crew::new(), errands: Crew::new(), heard: Signal::default() }
    }

    pub(super) fn employ(&self, fleet: &Arc<Fleet>, leases: Arc<Leases>, heartbeat: Duration) {
        self.crew.spawn(leases::renew(leases, Arc::downgrade(fleet)));
        self.crew.spawn(beat(Arc::downgrade(fleet), Arc::clone(&self.beat), heartbeat));
    }

    /// The node heard of something.
    pub(super) fn tell(&self) {
        self.heard.notify_all();
    }

    /// Returns when the node has heard of something more.
    pub(super) async fn told(&self) {
        io::within(Duration::from_millis(5), self.heard.notified()).await;
    }

    /// Sends a fence now.
    pub(super) fn fence(&self) {
        self.beat.notify();
    }
}

/// The heartbeat (R5, R15). A fence that was asked for is sent at once; else one is due when the node says so.
async fn beat(fleet: Weak<Fleet>, asked: Arc<Signal>, heartbeat: Duration) {
    let mut hits = 0;
    loop {
        let fence = io::within(heartbeat, asked.notified()).await.is_some();
        let Some(fleet) = fleet.upgrade() else { return };
        // What is due is seen to all the same: where calls ask for a fence all the time, time never runs out here.
        if fence {
            fleet.fence().await;
        }
        let now = fleet.members.hits();
        // Whether it was read is seen by what its caches counted: a hit has nothing to note.
        let read = std::mem::replace(&mut hits, now) != now;
        fleet.act(|node, now| {
            let mut effects = if read { node.read(now) } else { Vec::new() };
            effects.extend(node.tick(now));
            ((), effects)
        });
        if !fleet.abandoned.is_empty() {
            fleet.run(Job::Withdraw);
        }
    }
}

impl Fleet {
    async fn fence(&self) {
        // Before the first byte is sent: what the answer vouches for is counted from here (R5).
        let ticket = self.act(|node, now| (node.fence_sent(now), Vec::new()));
        let asked = self.clock.now_precise();
        let answer = self.driver.fence().await;
        if answer.is_ok() {
            self.bus_lag.store(self.clock.now_precise().saturating_sub(asked).max(1), Ordering::Relaxed);
        }
        match answer {
            Ok(marks) if is_broken(Rule::FenceTime) => self.answer_late(ticket, marks),
            Ok(marks) => self.act(|node, now| ((), node.fence_answered(ticket, marks, now))),
            Err(fault) => {
                self.complain(&fault);
                if fault.is_of_no_master() {
                    self.act(|node, _| (node.fence_refused(), Vec::new()));
                }
            }
        }
    }

    /// R5 broken: an answer that was long on its way vouches from when it came. It is held here and not by the proxy: there the
    /// messages that give it away come behind it.
    fn answer_late(&self, ticket: Ticket, marks: [Mark; 2]) {
        if let Some(fleet) = self.me.upgrade() {
            self.steward.crew.spawn(async move {
                io::sleep(20 * HELD_OPEN).await;
                fleet.act(|node, now| ((), node.fence_answered(ticket.asked_at(now), marks, now)));
            });
        }
    }

    /// Does what the node wants done, in the background.
    pub(super) fn run(&self, job: Job) {
        if let Some(fleet) = self.me.upgrade() {
            self.steward.crew.spawn(async move { fleet.do_job(job).await });
        }
    }

    async fn do_job(&self, job: Job) {
        match job {
            Job::LoadFloors => {
                // One that failed is asked for by the next heartbeat.
                let _ = self.load_floors().await;
            }
            Job::ReadLog(partition, after) => {
                let generation = self.node.lock().generation();
                let log = self.log_after(partition, after, generation).await;
                let messages: Vec<_> = log
                    .iter()
                    .filter_map(|bytes| match Message::decode(bytes) {
                        Ok(Message::Numbered(numbered)) => Some(self.numbered(&numbered)),
                        _ => None,
                    })
                    .collect();
                let of_all = messages.iter().flat_map(|message| std::mem::take(&mut self.doomed(&message.body).0));
                let mut doomed = AllDoomed(of_all.collect());
                if is_broken(Rule::Log) {
                    doomed.0.clear();
                }
                self.act_on(&mut doomed, |node, now| ((), node.log_answered(generation, partition, &messages, now)));
                messages.iter().for_each(|message| self.heard(message));
            }
            Job::Replay(body) => self.replay(body).await,
            Job::Withdraw => self.withdraw().await,
        }
    }

    /// What a log has; nothing, if it cannot be read.
    ///
    /// Interleaving that waiting for its connection defeats: all are cut for a moment, and an evict is missed; that of the bus is back
    /// first, and a fence tells so; the log is asked for on one that is not yet back; memory starts anew, and the log had the evict.
    async fn log_after(&self, partition: Partition, number: u64, generation: u64) -> Vec<Vec<u8>> {
        for _ in 0..LOG_LOOKS {
            match self.driver.log_after(partition, number).await {
                Err(Fault::Down) if self.generation() == generation => io::sleep(LOG_LOOKS_AGAIN).await,
                log => return log.unwrap_or_default(),
            }
        }
        Vec::new()
    }

    /// Sends an invalidation that is owed.
    async fn replay(&self, body: Body) {
        let (partition, sent) = self.resend(&body).await;
        let mut doomed = self.doomed(&body);
        let (generation, mark) = match sent {
            Ok((generation, mark)) => (generation, Some(mark)),
            Err(fault) => {
                self.refused(&fault);
                (0, None)
            }
        };
        self.act_on(&mut doomed, |node, now| {
            let (counts, effects) = node.replayed(generation, mark.map(|mark| (partition, mark, &body)), now);
            if let (Some(mark), true) = (mark, counts) {
                self.note(partition, mark);
            }
            ((), effects)
        });
    }

    async fn resend(&self, body: &Body) -> (Partition, Result<(u64, Mark), Fault>) {
        let generation = self.generation();
        let tail = self.tail(body);
        let bump = Bump { chain: nonce(), tail: &tail };
        let at = |mark: Mark| (generation, mark);
        match body {
            Body::Keys(keys) => match self.remote_keys(keys) {
                Some(remote) => {
                    // What is sent late makes no reader's replica catch up sooner: the key settles from here on. All are of one cache.
                    let settle = keys.first().map(|text| self.settle(&text.cache)).unwrap_or_default();
                    let evicted = self.driver.evict(&remote, None, settling(settle), bump).await;
                    (Partition::Keys, evicted.map(|(mark, _)| at(mark)))
                }
                // The versions of a cache that is not here are not known: all of it is cleared. Again they are all of one.
                None => {
                    if let Some(Text { cache, .. }) = keys.first() {
                        let tail = self.tail(&Body::Clear(Arc::clone(cache)));
                        if let Err(fault) = self.driver.clear(cache, Bump { chain: nonce(), tail: &tail }).await {
                            return (Partition::Meta, Err(fault));
                        }
                    }
                    (Partition::Keys, self.driver.bump(Partition::Keys, bump).await.map(at))
                }
            },
            Body::Clear(name) => (Partition::Meta, self.driver.clear(name, bump).await.map(at)),
            Body::Floor => (Partition::Keys, self.driver.bump(Partition::Keys, bump).await.map(at)),
        }
    }
}
