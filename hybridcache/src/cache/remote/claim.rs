//! Asking the remote tier for a key, and for the right to fill it.
//!
//! What is seldom waited for is boxed, so that a hit pays for the size of what it waits for and no more.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::Remote;
use crate::bus;
use crate::codec::wire::Unusable;
use crate::coherence::floors::{Born, Verdict};
use crate::driver::{Awaited, Fault, Found};
use crate::fleet::{Lease, Reading};
use crate::key::text::KeyText;
use crate::nonce::{Nonce, nonce_at};
use crate::observe::{Event, Meter};
use crate::record::{self, Record};
use crate::rt::broken::{Rule, is_broken};
use crate::rt::io;

/// How often one call asks anew because what it asked says nothing any more.
const ROUNDS: usize = 3;

/// What a key's place in the remote tier came to be for one call.
pub(crate) enum Claim<V> {
    /// A value, or a kept `None`.
    Found(Hit<V>),
    /// Nothing that may be served; this call may fill.
    Ours(Right),
    /// Somebody else is about to fill, or nobody may: this call loads, and fills nothing.
    Theirs,
    /// Replicas of the source are to catch up with an eviction: this call loads, and what it loads is kept nowhere.
    Settling,
    /// The remote tier does not answer, or cannot be believed now.
    Outage,
}

/// What was found.
pub(crate) struct Hit<V> {
    pub(crate) value: Option<V>,
    /// When it was asked for, and how much longer it lives from then on; `None` if it has no end.
    pub(crate) asked: u64,
    pub(crate) remaining: Option<Duration>,
    pub(crate) version: Nonce,
}

/// A value as it was read.
struct There<V> {
    value: Option<V>,
    version: Nonce,
    /// For how long it lived when it was sent.
    lives: Option<Duration>,
}

impl<V> There<V> {
    /// What was asked for then, and had so much left.
    ///
    /// Interleaving that its own word defeats: a lease is there, with seconds to go; what was sent behind the question how long is read by
    /// the server another time, for it reads so much of a connection and then serves others; the load fills in between, for a moment; this
    /// is read, and memory serves it for as long as the lease had.
    fn found(self, asked: u64, left: Option<Duration>) -> Hit<V> {
        let remaining = left.into_iter().chain(self.lives).min();
        Hit { value: self.value, asked, remaining, version: self.version }
    }
}

/// The right to fill.
pub(crate) struct Right {
    /// What has to stand there still when the fill arrives: a lease, or for a reload the value that is to be replaced.
    pub(crate) over: Over,
    pub(crate) key: Arc<[u8]>,
    /// What the value that is loaded now will be stamped with.
    pub(crate) version: Nonce,
    pub(crate) born: Born,
    /// Of the node, when the right was taken (R12).
    pub(crate) generation: u64,
}

pub(crate) enum Over {
    Lease(Lease),
    Record(Vec<u8>),
}

/// What a record is to the call that found it.
enum Read<V> {
    Value(There<V>),
    /// It may be overwritten: cleared, of another schema or codec, damaged, or nobody's any more.
    Dead,
    /// Another load has the right.
    Lease,
    /// Nobody has; because the key settles, or somebody writes it.
    Intent {
        settling: bool,
    },
    /// What is known of clears is too old to say.
    Unknown,
}

impl<K, V: 'static> Remote<K, V> {
    /// Asks for a key. What is there is returned; where there is nothing, the right to fill is taken in the same round trip (R1).
    /// With `reload` what is there is not returned but to be replaced, and who loads loses the right. Else waits for a load in another
    /// process where the cache has `single_flight = fleet`, for up to `patience`.
    pub(super) async fn claim(&self, text: &KeyText, reload: bool, patience: Duration, meter: &Meter) -> Claim<V> {
        let key = self.place.key(text);
        let mut began = None;
        let (mut rounds, mut waited) = (0, false);
        while rounds < ROUNDS {
            let Some((Reading { asked, generation, .. }, born)) = self.reading_of(text, meter).await else {
                return Claim::Outage;
            };
            let began = *began.get_or_insert(asked);
            let attempt = if is_broken(Rule::Lease) { self.fleet.id.into() } else { nonce_at(asked) };
            let lease = record::Lease { nonce: attempt, node: self.fleet.id, awaited: false }.encode();
            // Held from before it is sent for until a load holds it, or none will.
            let _expected = self.fleet.expect(attempt);
            let wake = || bus::wake(attempt, self.named(text), None);
            // Dropped while this waits, the call may leave a lease behind that no load holds.
            let planted = self.fleet.planting(&key, &lease, wake);
            let answer = self.fleet.driver.get_or_lease(&key, &lease, self.options.lease, self.asks_remaining());
            let answer = answer.instrument(self.span("get_or_lease")).await;
            let Found { record, remaining } = match answer {
                Ok(found) => found,
                // It may have been executed, or may still be: the lease is given back in the background.
                Err(fault) => return self.outage(&fault, meter),
            };
            planted.answered();
            let right = |over: Option<Vec<u8>>| {
                let key: Arc<[u8]> = key.as_slice().into();
                let hold =
                    |lease| self.fleet.hold(attempt, Arc::clone(&key), lease, self.options.lease, self.named(text));
                let over = over.map_or_else(|| Over::Lease(hold(lease.as_slice().into())), Over::Record);
                Right { over, key, version: attempt, born, generation }
            };
            let Some(record) = record else {
                let right = right(None);
                if self.fleet.generation() == generation {
                    meter.count(Event::RemoteMiss);
                    return Claim::Ours(right);
                }
                // Planted on a server that may not be the one of now: given back as it is dropped (R12).
                rounds += 1;
                continue;
            };
            if self.fleet.generation() != generation {
                rounds += 1;
                continue;
            }
            let read = match self.read(text, &record, meter) {
                Read::Unknown => Box::pin(self.read_anew(text, &record, meter)).await,
                read => read,
            };
            let read = match read {
                // Interleaving that this defeats: a load has the lease, and what it read; that changes; a reload reads it, may not fill, and
                // returns; the load fills; the next read finds what was there before the reload.
                Read::Lease if reload => Read::Dead,
                read => read,
            };
            match read {
                Read::Value(..) if reload => return Claim::Ours(right(Some(record))),
                Read::Value(there) => {
                    self.fleet.driver.spent(record);
                    return Claim::Found(there.found(asked, remaining));
                }
                Read::Dead => match Box::pin(self.lease_over(&key, &record, &lease, wake)).await {
                    Ok(true) => {
                        meter.count(Event::RemoteMiss);
                        return Claim::Ours(right(None));
                    }
                    Ok(false) => rounds += 1,
                    Err(fault) => return self.outage(&fault, meter),
                },
                Read::Lease if self.waits() => {
                    let left = patience
                        .saturating_sub(Duration::from_nanos(self.fleet.clock.now_precise().saturating_sub(began)));
                    if left.is_zero() {
                        if waited {
                            meter.count(Event::WaitTimeout);
                        }
                        return Claim::Theirs;
                    }
                    waited = true;
                    if let Err(fault) = Box::pin(self.await_fill(text, &key, &record, left, meter)).await {
                        return self.outage(&fault, meter);
                    }
                }
                Read::Intent { settling: true } => return Claim::Settling,
                Read::Lease | Read::Intent { settling: false } => return Claim::Theirs,
                Read::Unknown => return Claim::Outage,
            }
        }
        Claim::Outage
    }

    /// A value, for who wants to look only.
    pub(in crate::cache) async fn peek(&self, key: &K, meter: &Meter) -> Option<V> {
        self.find(&self.spell(key)?, meter).await?.value
    }

    /// Looks for a value, and takes no right to anything. `None` if there is none that may be served, or no answer.
    pub(super) async fn find(&self, text: &KeyText, meter: &Meter) -> Option<Hit<V>> {
        let key = self.place.key(text);
        for _ in 0..ROUNDS {
            let (Reading { asked, generation, .. }, _) = self.reading_of(text, meter).await?;
            let found = self.fleet.driver.get(&key, self.asks_remaining()).instrument(self.span("get")).await;
            let Found { record, remaining } = found.inspect_err(|fault| self.failed(fault, meter)).ok()?;
            let record = record?;
            let read = match self.read(text, &record, meter) {
                Read::Unknown => Box::pin(self.read_anew(text, &record, meter)).await,
                read => read,
            };
            if self.fleet.generation() == generation {
                let Read::Value(there) = read else { return None };
                self.fleet.driver.spent(record);
                return Some(there.found(asked, remaining));
            }
        }
        None
    }

    /// When a record is born that is loaded from here on; `None` if that cannot be said.
    pub(super) async fn born(&self, meter: &Meter) -> Option<Born> {
        Some(self.known(|| Some(self.fleet.reading()), meter).await?.1)
    }

    /// What has to be known before a key is asked for. `None` if that cannot be said, or the node owes the fleet an eviction of this
    /// key: what is there may be older than what this process wrote.
    async fn reading_of(&self, text: &KeyText, meter: &Meter) -> Option<(Reading, Born)> {
        self.known(|| self.fleet.reading_of(&self.name, text.as_str()), meter).await
    }

    async fn known(&self, look: impl Fn() -> Option<Reading>, meter: &Meter) -> Option<(Reading, Born)> {
        let mut reading = look()?;
        if reading.born.is_none() {
            Box::pin(self.fleet.load_floors()).await.inspect_err(|fault| self.failed(fault, meter)).ok()?;
            reading = look()?;
        }
        Some((reading, reading.born?))
    }

    /// [`read`](Self::read), by what is known of clears now.
    async fn read_anew(&self, text: &KeyText, record: &[u8], meter: &Meter) -> Read<V> {
        match self.fleet.load_floors().await {
            Ok(()) => self.read(text, record, meter),
            Err(fault) => {
                self.failed(&fault, meter);
                Read::Unknown
            }
        }
    }

    fn read(&self, text: &KeyText, record: &[u8], meter: &Meter) -> Read<V> {
        match Record::decode(record) {
            // Whoever has tagged it knows what ends it; this version does not.
            Ok(Record::Filled(filled)) if filled.tags().next().is_some() => Read::Dead,
            Ok(Record::Filled(filled)) => {
                match self.fleet.judge(Born { epoch: filled.epoch, clock: filled.born }, &self.name) {
                    Verdict::Unknown => Read::Unknown,
                    Verdict::Dead => Read::Dead,
                    Verdict::Valid => match self.options.wire.decode(text, &filled) {
                        Ok(value) => Read::Value(There { value, version: filled.version, lives: filled.lives }),
                        Err(why) => self.unusable(why, meter),
                    },
                }
            }
            // A lease of this process that none of its loads holds was given up, and its release is on its way.
            Ok(Record::Lease(lease)) if lease.node == self.fleet.id && !self.fleet.holds(lease.nonce) => Read::Dead,
            Ok(Record::Lease(_)) => Read::Lease,
            Ok(Record::Intent { settling }) => Read::Intent { settling },
            Err(why) => {
                meter.count(Event::Undecodable);
                if self.complains_of_records.may(self.fleet.clock.now()) {
                    tracing::warn!(cache = %self.name, ?why, "a record of the remote tier is none of ours: overwritten");
                }
                Read::Dead
            }
        }
    }

    fn unusable(&self, why: Unusable, meter: &Meter) -> Read<V> {
        meter.count(Event::Undecodable);
        match &why {
            // The other side of a rolling deploy, or of a change of codec: nothing is wrong.
            Unusable::OtherSchema | Unusable::OtherCodec => {
                tracing::debug!(cache = %self.name, %why, "a record is a miss, and is overwritten");
            }
            _ if self.complains_of_records.may(self.fleet.clock.now()) => {
                tracing::warn!(cache = %self.name, %why, "a record is a miss, and is overwritten");
            }
            _ => {}
        }
        Read::Dead
    }

    /// Waits until the load that holds this lease has filled, or given up, or its lease ended.
    async fn await_fill(
        &self,
        text: &KeyText,
        key: &[u8],
        lease: &[u8],
        patience: Duration,
        meter: &Meter,
    ) -> Result<(), Fault> {
        meter.count(Event::FleetWait);
        // The place is taken before the flag is set.
        //
        // Interleaving that this order defeats: the flag is set, the other process fills and announces, this one takes its place
        // and waits until the lease would have ended.
        let place = self.fleet.wait(&self.name, text.as_str());
        let flagged = self.fleet.driver.await_fill(key, lease).instrument(self.span("await_fill")).await?;
        if let Awaited::Flagged { remaining } = flagged {
            // A millisecond more than the lease has: who looks a moment too early would wait for the next.
            io::within(patience.min(remaining + Duration::from_millis(1)), place.announced()).await;
        }
        Ok(())
    }

    /// Puts a lease in the place of what may be overwritten; returns whether that was still there.
    async fn lease_over(
        &self,
        key: &[u8],
        record: &[u8],
        lease: &[u8],
        wake: impl Fn() -> Vec<u8>,
    ) -> Result<bool, Fault> {
        let planted = self.fleet.planting(key, lease, wake);
        let taken = self.fleet.driver.lease_over(key, record, lease, self.options.lease);
        let taken = taken.instrument(self.span("lease_over")).await?;
        planted.answered();
        Ok(taken)
    }

    fn outage(&self, fault: &Fault, meter: &Meter) -> Claim<V> {
        self.failed(fault, meter);
        Claim::Outage
    }

    fn failed(&self, fault: &Fault, meter: &Meter) {
        meter.count(Event::RemoteFault);
        tracing::debug!(cache = %self.name, %fault, "the remote tier was asked in vain");
        self.fleet.refused(fault);
    }
}
