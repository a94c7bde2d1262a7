//! The way of a miss through the remote tier.

use std::future::Future;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::time::Duration;

use tracing::Instrument as _;

use super::claim::{Claim, Hit, Over, Right};
use super::slide::granted;
use super::{DEGRADED, Remote};
use crate::bus;
use crate::cache::Inner;
use crate::cache::context::{LoadContext, Said};
use crate::cache::fetch::Tier;
use crate::cache::flight::Leader;
use crate::cache::keep::replace;
use crate::cache::read::{Answered, Keep, Outcome, Want};
use crate::cache::shards::{Flying, Locked};
use crate::driver::Filled;
use crate::entry::{Entry, Movement, Terms, View};
use crate::key::Stored;
use crate::key::text::KeyText;
use crate::memory::Removed;
use crate::observe::Event;
use crate::returned::{Returned, Share};
use crate::rt::broken::{Rule, is_broken};
use crate::time::{NEVER, deadline, nanos};

/// What a load came to.
pub(super) struct Loaded<'v, V> {
    pub(super) view: View<'v, V>,
    /// When it began.
    pub(super) start: u64,
    pub(super) said: Said,
}

/// What a call that found nothing may do with what it loads.
pub(super) enum Grant {
    /// Send it.
    Fill(Right),
    /// Keep it for a moment, with this mark.
    Briefly(u32),
    /// Nothing: it may be older than the eviction before it, and no other will come.
    Nothing,
}

/// How a call was made.
struct Call<'c, E> {
    want: Want,
    share: Share<E>,
    context: Option<&'c LoadContext>,
}

/// What became of a fill, for who loaded.
pub(super) enum Filling {
    /// The value is in the remote tier, and may be kept here on these terms.
    Kept(u64, Option<Movement>),
    /// It is not sent, and may be kept here all the same: evictions of its key are heard of.
    Unsent(u64, Option<Movement>),
    /// Somebody removed or replaced what the right was to: it is returned, and kept nowhere (R11).
    Rejected,
    /// It is not known whether it was filled.
    Unknown,
}

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Ends a flight by way of the remote tier: by what is there, or by the body. The order is written here and nowhere else.
    ///
    /// What is done for want of a hit is boxed: a hit does not pay for its size.
    pub(in crate::cache) fn lead_remotely<R, F, Fut>(
        &self,
        remote: &Remote<K, V>,
        mut leader: Leader<'_, K, V>,
        want: Want,
        share: Share<R::Error>,
        context: Option<&LoadContext>,
        body: F,
    ) -> impl Future<Output = Answered<R>>
    where
        R: Returned<V>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R> + Unpin,
    {
        let text = remote.spell(&leader.key.key);
        // A block and not the function's own: that would have each argument twice, as it was given and as it is used.
        async move {
            let Some(text) = text else {
                // No other process could name it in an eviction: it is kept nowhere.
                self.meter.count(Event::Unspellable);
                let (start, returned) = Box::pin(self.run(Some(leader.id), None, body, R::failed)).await;
                let result = self.settle(&mut leader, (start, returned), want, share, context, Keep::No);
                return Answered { result, outcome: Outcome::Uncached, tier: Tier::Source };
            };
            let reload = want != Want::Fresh;
            if !reload && remote.keeps() {
                self.retire(&leader.key);
            }
            let claim = remote.claim(&text, reload, self.rules.wait_timeout, &self.meter).await;
            let grant = match self.granted(claim) {
                ControlFlow::Break(hit) => {
                    match self.take_over(remote, leader, hit) {
                        Ok(answered) => return answered,
                        // Another function with another return type shares this cache, and its `None` says nothing to us: what we
                        // load takes its place, as in memory.
                        Err(back) => leader = back,
                    }
                    let again = Box::pin(remote.claim(&text, true, Duration::ZERO, &self.meter)).await;
                    self.granted(again).continue_value().unwrap_or(Grant::Briefly(0))
                }
                ControlFlow::Continue(grant) => grant,
            };
            Box::pin(self.load_remotely(remote, leader, &text, grant, Call { want, share, context }, body)).await
        }
    }

    /// What was found, or else what may be done with what is loaded.
    pub(super) fn granted(&self, claim: Claim<V>) -> ControlFlow<Hit<V>, Grant> {
        let (event, grant) = match claim {
            Claim::Found(hit) => return ControlFlow::Break(hit),
            Claim::Ours(right) => return ControlFlow::Continue(Grant::Fill(right)),
            Claim::Theirs => (Event::Unfilled, Grant::Briefly(0)),
            Claim::Settling => (Event::Unfilled, Grant::Nothing),
            Claim::Outage => (Event::Degraded, Grant::Briefly(DEGRADED)),
        };
        self.meter.count(event);
        ControlFlow::Continue(grant)
    }

    /// Ends a flight by the body. The other half of [`lead_remotely`](Self::lead_remotely), apart from it to be boxed.
    async fn load_remotely<R, F, Fut>(
        &self,
        remote: &Remote<K, V>,
        mut leader: Leader<'_, K, V>,
        text: &KeyText,
        grant: Grant,
        Call { want, share, context }: Call<'_, R::Error>,
        body: F,
    ) -> Answered<R>
    where
        R: Returned<V>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R> + Unpin,
    {
        let (start, returned) = self.run(Some(leader.id), None, body, R::failed).await;
        let said = context.map(LoadContext::said).unwrap_or_default();
        let parts = returned.split();
        let loaded = Loaded { view: View::from(&parts), start, said };
        let (keep, outcome) = match grant {
            Grant::Briefly(mark) => (self.keep_briefly(remote, loaded, mark), Outcome::Loaded),
            Grant::Nothing => (Keep::No, Outcome::Uncached),
            Grant::Fill(right) => {
                let replaces = matches!(right.over, Over::Record(_));
                let filling = self.fill(remote, &leader.key, text, right, loaded).await;
                // Interleaving that this defeats: two reloads are to replace the same value; the one that began first fills; what the other
                // has is newer, and may not be filled any more; its caller has seen it, and the next read finds the older.
                if want != Want::Ahead && replaces && matches!(filling, Filling::Rejected) {
                    // One that is not acknowledged is queued.
                    let _ = self.evict_elsewhere(|| vec![leader.key.clone()]).await;
                }
                if parts.is_ok() && !matches!(filling, Filling::Rejected) {
                    self.supersede(&leader);
                }
                if let Filling::Rejected = filling
                    && remote.is_strict()
                    && let Some(hit) = remote.find(text, &self.meter).await
                {
                    // Somebody loaded later than this call, and others may have seen that.
                    match self.take_over(remote, leader, hit) {
                        Ok(answered) => return answered,
                        Err(back) => leader = back,
                    }
                }
                match filling {
                    Filling::Kept(deadline, moving) | Filling::Unsent(deadline, moving) if remote.keeps() => {
                        (Keep::Until { deadline, moving, mark: 0 }, Outcome::Loaded)
                    }
                    Filling::Kept(..) | Filling::Unsent(..) => (Keep::No, Outcome::Loaded),
                    Filling::Rejected | Filling::Unknown => (Keep::No, Outcome::Uncached),
                }
            }
        };
        let returned = R::join(parts).expect("what was taken apart fits together");
        let result = self.settle(&mut leader, (start, returned), want, share, context, keep);
        Answered { result, outcome, tier: Tier::Source }
    }

    /// A value of the remote tier, for a read that has no body to run. It is kept here unless somebody loads the key.
    pub(in crate::cache) async fn get_remotely(
        &self,
        remote: &Remote<K, V>,
        key: Stored<K>,
        blocking: bool,
    ) -> Option<V> {
        let Some(text) = remote.spell(&key.key) else {
            self.meter.count(Event::Unspellable);
            return None;
        };
        // Registered before it is asked for (R7). Whoever comes meanwhile waits, and if there is nothing leads in its place.
        let leader = self.shards.enter_if_free(key.clone(), self.generation(), self.began(), blocking);
        let hit = remote.find(&text, &self.meter).await?;
        match leader {
            Some(leader) => {
                self.retire(&leader.key);
                self.take_over::<Option<V>>(remote, leader, hit).ok()?.result
            }
            None => {
                if let Some(kept) = self.kept_beside(&key, |flights| flights.detach(&key)) {
                    return kept;
                }
                self.meter.count(Event::RemoteHit);
                self.renew(remote, &key.key, &hit);
                hit.value
            }
        }
    }

    /// A value of the remote tier, for who wants to look only.
    pub(in crate::cache) async fn peek_remotely(&self, remote: &Remote<K, V>, key: Stored<K>) -> Option<V> {
        let value = remote.peek(&key.key, &self.meter).await?;
        // Flights go on: who looks again and again would keep them all from keeping what they find.
        let kept = remote.keeps().then(|| self.kept_beside(&key, |_| {})).flatten();
        kept.unwrap_or(Some(value))
    }

    /// A new load takes what memory has of the key out of service (R10).
    ///
    /// Interleaving that this defeats: memory has v0 and nobody vouches for it; this call loads v1 and is superseded before it may keep
    /// it; the fence succeeds; the next hit gets v0 after this one got v1.
    pub(super) fn retire(&self, key: &Stored<K>) {
        let mut removed = Removed::default();
        self.shards.lock(key.hash).memory.displace(key, &mut removed);
        self.release(&removed);
    }

    /// What memory may serve of a key that was found beside the flight of another. If that is nothing, what it has leaves, and
    /// `retire` sees to the flight, which may not bring it any more.
    ///
    /// Interleavings that this defeats: a load asks and finds v0; this call asks and finds v1; it returns that, and then the load keeps
    /// v0, or it kept it just before, or memory had it and nobody vouched for it; the next hit gets v0 after this call got v1 (R10). To
    /// take v0 from memory where it is served would not do: where a key is asked for all the time each would take what the one before
    /// has kept.
    fn kept_beside(&self, key: &Stored<K>, retire: impl FnOnce(&mut Flying<K, V>)) -> Option<Option<V>> {
        let (generation, now) = self.served();
        let mut removed = Removed::default();
        let kept = {
            let Locked { table, memory } = &mut *self.shards.lock(key.hash);
            let kept = memory.peek(key.hash, &&key.key, generation, now);
            if kept.is_none() {
                retire(table);
                memory.displace(key, &mut removed);
            }
            kept
        };
        self.release(&removed);
        kept
    }

    /// This flight returns what the remote tier has. If another took its place, what that may bring or has kept is not served.
    ///
    /// Interleavings that this defeats: who entered later need not have asked later. A call asks, and is told to wait; a batch enters,
    /// asks and finds v0; the call asks again, and finds v1; it returns that, and then the batch keeps v0, or it kept it just before; the
    /// next hit gets v0 (R10). Or a reload is overtaken by a load that finds what the reload is to replace, and keeps that.
    pub(super) fn supersede(&self, leader: &Leader<'_, K, V>) {
        let mut removed = Removed::default();
        {
            let Locked { table, memory } = &mut *self.shards.lock(leader.key.hash);
            if !table.is_attached(&leader.key, leader.id) {
                table.detach(&leader.key);
                memory.displace(&leader.key, &mut removed);
            }
        }
        self.release(&removed);
    }

    /// Ends a flight with what the remote tier has.
    fn take_over<'f, R: Returned<V>>(
        &self,
        remote: &Remote<K, V>,
        mut leader: Leader<'f, K, V>,
        hit: Hit<V>,
    ) -> Result<Answered<R>, Leader<'f, K, V>> {
        if hit.value.is_none() && R::join(Ok(None)).is_none() {
            return Err(leader);
        }
        self.supersede(&leader);
        self.renew(remote, &leader.key.key, &hit);
        let terms = self.terms_of_hit(remote, &leader.key.key, &hit);
        let value = hit.value;
        self.meter.count(Event::RemoteHit);
        // Cloned only for whoever else gets it: memory, if that keeps any, and those who wait.
        let entry = terms.map(|terms| Entry { kept: value.clone().into(), terms });
        let mut removed = Removed::default();
        leader.land(
            self.generation(),
            |right, memory| {
                if let Some(key) = right {
                    replace(memory, key, entry, &mut removed);
                }
            },
            || (value.clone().into(), Tier::Redis),
        );
        self.release(&removed);
        let outcome = if value.is_some() { Outcome::Hit } else { Outcome::Negative };
        let result = R::join(Ok(value)).expect("what is not `None` can be said by every type");
        Ok(Answered { result, outcome, tier: Tier::Redis })
    }

    /// On which terms a value of the remote tier is kept here: never longer than there (it was asked for before the server
    /// looked at its clock).
    pub(super) fn terms_of_hit(&self, remote: &Remote<K, V>, key: &K, hit: &Hit<V>) -> Option<Terms> {
        if !remote.keeps() {
            return None;
        }
        let weight = self.weight(key, hit.value.as_ref().into())?;
        let remaining = hit.remaining.map_or(NEVER, nanos);
        let generation = self.generation();
        if self.rules.idle != NEVER && hit.value.is_some() {
            let moving = Some(Box::new(granted(hit.asked, remaining, self.lag, hit.version, NEVER)));
            return Some(Terms { deadline: NEVER, moving, generation, weight });
        }
        Some(Terms { deadline: deadline(hit.asked, remaining, self.lag), moving: None, generation, weight })
    }

    /// Sends what was loaded, if it is to be kept.
    pub(super) async fn fill(
        &self,
        remote: &Remote<K, V>,
        key: &Stored<K>,
        text: &KeyText,
        right: Right,
        loaded: Loaded<'_, V>,
    ) -> Filling {
        let failed = matches!(loaded.view, View::Failed);
        let late = if is_broken(Rule::Born) { remote.fleet.reading().born } else { None };
        let mut packed = self.pack(remote, key, text, loaded, right.version, late.unwrap_or(right.born));
        let (ends, moving) = (packed.ends, packed.moving);
        let now = self.clock.now_precise();
        let lives = packed.lives(now);
        let Some(record) = packed.record else {
            // A reload that failed leaves what was there. A lease is given back as it is dropped.
            if !failed {
                self.take_away(remote, key, &right).await;
            }
            return Filling::Unsent(deadline_of(ends, self.lag), moving);
        };
        // It ended while it was loaded.
        if lives.now < Duration::from_millis(1) {
            self.take_away(remote, key, &right).await;
            return Filling::Rejected;
        }
        let wake = bus::wake(right.version, remote.named(text), None);
        let over = match &right.over {
            Over::Lease(lease) => &lease.record[..],
            Over::Record(record) => record,
        };
        let filled = remote.fleet.driver.fill(&right.key, over, &record, lives, &wake);
        let filled = filled.instrument(remote.span("fill")).await;
        let of_now = remote.fleet.generation() == right.generation;
        match filled {
            Ok(Filled::Kept) => {
                if let Over::Lease(lease) = right.over {
                    lease.spent();
                }
                self.meter.count(Event::Filled);
                // What slides is renewed in the remote tier, and lives here as long as that says.
                let moving = moving.map(|moving| match moving.idle {
                    0 => moving,
                    _ => granted(now, nanos(lives.now), self.lag, right.version, moving.refresh_at),
                });
                if of_now { Filling::Kept(deadline_of(ends, self.lag), moving) } else { Filling::Unknown }
            }
            Ok(Filled::Rejected) => {
                if let Over::Lease(lease) = right.over {
                    lease.spent();
                }
                self.meter.count(Event::FillRejected);
                Filling::Rejected
            }
            Err(fault) => {
                self.meter.count(Event::RemoteFault);
                remote.fleet.refused(&fault);
                Filling::Unknown
            }
        }
    }

    /// A reload came to something that is not sent: what it was to replace goes, from the remote tier as from memory.
    ///
    /// Interleaving that this defeats: a reload finds that the row is gone, and says so; the next read finds the old value in the
    /// remote tier.
    async fn take_away(&self, remote: &Remote<K, V>, key: &Stored<K>, right: &Right) {
        if let Over::Record(record) = &right.over
            && let Err(fault) =
                remote.fleet.driver.release(&right.key, record, &[]).instrument(remote.span("release")).await
        {
            self.meter.count(Event::RemoteFault);
            remote.fleet.refused(&fault);
            remote.evict_later(&key.key);
        }
    }

    /// For something that was loaded without the right to fill (R13). Nobody may be able to tell this process of an eviction: for a
    /// moment only, and if so while that lasts. Where memory answers all the same, it does with this too: as of a server that is full,
    /// and refuses what would take room.
    pub(super) fn keep_briefly(
        &self,
        remote: &Remote<K, V>,
        Loaded { view, start, said }: Loaded<'_, V>,
        mark: u32,
    ) -> Keep {
        if !remote.keeps() {
            return Keep::No;
        }
        // Interleaving that the bound defeats: somebody writes the key under guard; this call loads what is there before the commit, and
        // is to keep it for long, as in an outage; the writer dies, and nobody evicts it.
        let longest = match mark {
            DEGRADED => remote.options.degraded_ttl,
            _ => remote.options.degraded_ttl.min(remote.fleet.staleness_bound()),
        };
        let mark = if remote.vouches(self.clock.now()) { 0 } else { mark };
        let (ends, moving) = self.rules.lifetime(view, start, self.lag, said.lifetime);
        let ends = ends.min(moving.map_or(NEVER, |moving| moving.idle_deadline));
        let briefly = deadline(start, nanos(longest), self.lag);
        Keep::Until { deadline: ends.min(briefly), moving: None, mark }
    }
}

/// A deadline on the clock that lags.
fn deadline_of(ends: u64, lag: u64) -> u64 {
    if ends == NEVER { NEVER } else { ends.saturating_sub(lag) }
}
