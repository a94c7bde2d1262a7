//! The way of a read, from a miss to the value.

use std::future::{Future, ready};
use std::hash::Hash;
use std::sync::Arc;

use tracing::{Instrument as _, Span};

use super::Inner;
use super::context::LoadContext;
use super::fetch::Tier;
use super::flight::{Called, Entry as Entered, Leader, Led, Waiting, led};
use super::keep::replace;
#[cfg(feature = "redis")]
use crate::entry::Movement;
use crate::entry::{Entry, Kept, Side, View};
use crate::key::Stored;
use crate::memory::{Removed, Shard};
use crate::observe::{Event, Tally};
use crate::returned::{Returned, Share};
use crate::rt;

/// How a call was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// From the cache.
    Hit,
    /// From the cache: a kept `None` or error.
    Negative,
    /// By another caller's load, which this one waited for.
    Shared,
    /// By running the body.
    Loaded,
    /// By running the body, without the right to keep the result: a wait was given up, or waiting would have closed a
    /// circle. With a remote tier also where its key was evicted or written meanwhile, settles, or has no text.
    Uncached,
    /// By running the body, because the caller asked to go past the cache.
    Bypassed,
}

/// An answer, before it is told to whoever asked.
pub(crate) struct Answered<R> {
    pub(crate) result: R,
    pub(crate) outcome: Outcome,
    pub(crate) tier: Tier,
}

impl<R> Answered<R> {
    pub(crate) fn here(result: R, outcome: Outcome) -> Self {
        let tier = match outcome {
            Outcome::Hit | Outcome::Negative => Tier::Memory,
            Outcome::Shared | Outcome::Loaded | Outcome::Uncached | Outcome::Bypassed => Tier::Source,
        };
        Self { result, outcome, tier }
    }
}

/// Whether memory keeps what was loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    /// As long as the cache's rules say.
    ByRules,
    /// So long, because the remote tier keeps it so long; or only for a moment, and then with a mark in its generation.
    #[cfg(feature = "redis")]
    Until { deadline: u64, moving: Option<Movement>, mark: u32 },
    /// Not at all.
    #[cfg(feature = "redis")]
    No,
}

/// What a read wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Any value that the cache may serve.
    Fresh,
    /// One that is loaded from here on; it replaces what is there.
    Reloaded,
    /// The same, behind a caller who has an answer.
    Ahead,
}

/// A read that missed, before its body runs.
pub(crate) struct Miss<'c, K, V> {
    pub(crate) inner: &'c Inner<K, V>,
    pub(crate) key: Stored<K>,
    pub(crate) want: Want,
}

/// What the first step of a miss came to.
enum Turn<'c, K: Eq + Hash, V, R> {
    Answered(Answered<R>),
    /// To run the body, for all who wait.
    Lead(Leader<'c, K, V>),
    /// To wait for who does.
    Wait(Waiting<'c, K, V>),
    /// To run it beside others that may be loading the same key.
    Beside(Stored<K>),
    /// To run it without the right to keep its result.
    Alone,
}

impl<K, V> Miss<'_, K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Loads, or waits for who does.
    pub(crate) async fn load<R, F, Fut>(
        self,
        share: Share<R::Error>,
        context: Option<&LoadContext>,
        body: F,
    ) -> Answered<R>
    where
        R: Returned<V>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R> + Unpin,
    {
        let Self { inner, key, want } = self;
        // Not by whoever missed: a hit would have to keep the time until it knows that it is none.
        let asked = inner.now();
        match inner.turn(key, want, false, Some(asked), share) {
            // Here and not two futures further in: each is another place to be moved to.
            Turn::Lead(leader) if !inner.is_elsewhere() => {
                let start = inner.start(asked, context);
                let loaded = inner.run(Some(leader.id), start, body, R::failed).await;
                inner.conclude(leader, loaded, want, share, context)
            }
            turn => inner.go_on(turn, want, false, share, context, body).await,
        }
    }

    /// [`load`](Self::load) from a plain function, which may only wait for a leader that holds a thread of its own.
    pub(crate) fn load_blocking<R: Returned<V>>(
        self,
        share: Share<R::Error>,
        context: Option<&LoadContext>,
        body: impl FnOnce() -> R,
    ) -> Answered<R> {
        let Self { inner, key, want } = self;
        let asked = inner.now();
        let mut turn = inner.turn(key, want, true, Some(asked), share);
        match turn {
            // Straight on where there is nothing to wait for: to carry it about in a future is a sixth of a miss.
            Turn::Lead(ref mut leader) if !inner.is_elsewhere() => {
                let tally = inner.meter.tally();
                let load = inner.begin_load(inner.start(asked, context), tally);
                let returned = inner.load_span().in_scope(|| led(Some(leader.id), body));
                inner.end_load(load, returned.failed(), tally);
                let loaded = (load.start, returned);
                Answered::here(inner.settle(leader, loaded, want, share, context, Keep::ByRules), Outcome::Loaded)
            }
            Turn::Answered(answered) => answered,
            _ => rt::block_on(inner.go_on(turn, want, true, share, context, || ready(body()))),
        }
    }
}

/// A run of the body, as it begins.
#[derive(Clone, Copy)]
struct Load {
    start: u64,
    timed: bool,
}

impl<V> Kept<V> {
    pub(crate) fn outcome(&self, of_a_value: Outcome) -> Outcome {
        match self {
            Self::Value(_) => of_a_value,
            Self::Nothing | Self::Failed(_) if of_a_value == Outcome::Hit => Outcome::Negative,
            Self::Nothing | Self::Failed(_) => of_a_value,
        }
    }
}

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn look(&self, key: &Stored<K>) -> Option<(Kept<V>, Option<Arc<Side>>)> {
        let (generation, now) = self.served();
        self.shards.look(key.hash, &&key.key, generation, now)
    }

    /// What a caller that missed at `asked` is to do; with none it has waited since, and is counted.
    fn turn<R: Returned<V>>(
        &self,
        mut key: Stored<K>,
        want: Want,
        blocking: bool,
        asked: Option<u64>,
        share: Share<R::Error>,
    ) -> Turn<'_, K, V, R> {
        let tally = self.meter.tally();
        let again = asked.is_none();
        let count = |event| {
            if !again {
                tally.count(event);
            }
        };
        if want == Want::Reloaded {
            return Turn::Lead(self.shards.enter_anew(key, self.generation(), self.began(), blocking));
        }
        // A kept error is found here and not on the way of a hit, which knows nothing of errors.
        if self.rules.cache_err
            && let Some((kept, _)) = self.look(&key)
            && let Some(negative) = kept.into_returned(&share)
        {
            if !again {
                self.meter.hit();
            }
            return Turn::Answered(Answered::here(negative, Outcome::Negative));
        }
        if !self.rules.single_flight {
            count(Event::Miss);
            if self.is_elsewhere() {
                // A flight of its own, which nobody joins: the next caller's retires it.
                return Turn::Lead(self.shards.enter_anew(key, self.generation(), self.began(), blocking));
            }
            return Turn::Beside(key);
        }
        let (generation, now) = self.served_at(asked.unwrap_or_else(|| self.now()));
        let mut looks = true;
        loop {
            let look = |memory: &Shard<K, V>, key: &Stored<K>| {
                looks.then(|| memory.look(key.hash, &&key.key, generation, now, &mut false))?.map(|(kept, _)| kept)
            };
            match self.shards.enter(key, self.generation(), self.began(), self.horizon(), blocking, look) {
                Entered::Lead(leader) => {
                    if !again {
                        self.count_miss(tally);
                    }
                    return Turn::Lead(leader);
                }
                Entered::Wait(waiting) => {
                    count(Event::Miss);
                    count(Event::Wait);
                    return Turn::Wait(waiting);
                }
                Entered::Alone => {
                    count(Event::Miss);
                    return Turn::Alone;
                }
                Entered::Found(own, kept) => {
                    let outcome = kept.outcome(Outcome::Hit);
                    if let Some(found) = kept.into_returned(&share) {
                        if !again {
                            self.count_late_hit();
                        }
                        return Turn::Answered(Answered::here(found, outcome));
                    }
                    // Another function shares this cache, and keeps what this one cannot say.
                    (key, looks) = (own, false);
                }
            }
        }
    }

    /// What [`turn`](Self::turn) says, to its end.
    async fn go_on<R, F, Fut>(
        &self,
        mut turn: Turn<'_, K, V, R>,
        want: Want,
        blocking: bool,
        share: Share<R::Error>,
        context: Option<&LoadContext>,
        body: F,
    ) -> Answered<R>
    where
        R: Returned<V>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R> + Unpin,
    {
        loop {
            let mut waiting = match turn {
                Turn::Answered(answered) => return answered,
                Turn::Lead(leader) => return self.lead(leader, want, share, context, body).await,
                Turn::Beside(key) => return self.load_alongside(key, share, context, body).await,
                Turn::Alone => return self.load_uncached(body).await,
                Turn::Wait(waiting) => waiting,
            };
            turn = match rt::within(&self.clock, self.rules.wait_timeout, &mut waiting).await {
                Some(Called::Landed(kept, tier)) => {
                    let outcome = kept.outcome(Outcome::Shared);
                    let kept = Arc::try_unwrap(kept).unwrap_or_else(|kept| (*kept).clone());
                    match kept.into_returned(&share) {
                        Some(result) => return Answered { result, outcome, tier },
                        // Another function with another error type shares this cache: its failure says nothing to us.
                        None => Turn::Alone,
                    }
                }
                Some(Called::Lead(leader)) => Turn::Lead(leader),
                Some(Called::Again(key)) => self.turn(key, want, blocking, None, share),
                None => {
                    let key = waiting.leave();
                    self.meter.count(Event::WaitTimeout);
                    tracing::warn!(
                        cache = %self.name, key = %self.digest(&key), timeout = ?self.rules.wait_timeout,
                        "gave up waiting for another caller's load: running the body uncoalesced"
                    );
                    Turn::Alone
                }
            };
        }
    }

    /// Runs the body for a flight and ends it.
    pub(super) async fn lead<R, F, Fut>(
        &self,
        leader: Leader<'_, K, V>,
        want: Want,
        share: Share<R::Error>,
        context: Option<&LoadContext>,
        body: F,
    ) -> Answered<R>
    where
        R: Returned<V>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R> + Unpin,
    {
        #[cfg(feature = "redis")]
        if let Some(remote) = &self.remote {
            // Boxed: the way through memory alone must not pay for its size, least of all on the stack of a plain function that calls
            // itself.
            return Box::pin(self.lead_remotely(remote, leader, want, share, context, body)).await;
        }
        let loaded = self.run(Some(leader.id), None, body, R::failed).await;
        self.conclude(leader, loaded, want, share, context)
    }

    /// Ends a flight in memory alone with what its body returned.
    // By value and out of line, for futures: their hits are compiled into the same function, which what drops a leader would make longer.
    #[inline(never)]
    fn conclude<R: Returned<V>>(
        &self,
        mut leader: Leader<'_, K, V>,
        loaded: (u64, R),
        want: Want,
        share: Share<R::Error>,
        context: Option<&LoadContext>,
    ) -> Answered<R> {
        Answered::here(self.settle(&mut leader, loaded, want, share, context, Keep::ByRules), Outcome::Loaded)
    }

    /// Runs the body without the right to keep its result.
    async fn load_uncached<R, F, Fut>(&self, body: F) -> Answered<R>
    where
        R: Returned<V>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R> + Unpin,
    {
        self.meter.count(Event::Uncached);
        Answered::here(self.run(None, None, body, R::failed).await.1, Outcome::Uncached)
    }

    /// Runs the body, as part of a flight or on its own; returns when it began. That is `start`, if it is known.
    pub(crate) async fn run<R, F, Fut>(
        &self,
        flight: Option<u64>,
        start: Option<u64>,
        body: F,
        failed: fn(&R) -> bool,
    ) -> (u64, R)
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = R> + Unpin,
    {
        let load = self.begin_load(start, self.meter.tally());
        let span = self.load_span();
        // All of a plain body runs before its future exists.
        let led = span.in_scope(|| Led::new(flight, body));
        let returned = led.instrument(span).await;
        self.end_load(load, failed(&returned), self.meter.tally());
        (load.start, returned)
    }

    /// When a load begins whose caller missed at `asked`: then, so that the clock need not be read once more. Where nothing
    /// expires that was not read, and is not needed if nothing of this load can.
    #[inline]
    fn start(&self, asked: u64, context: Option<&LoadContext>) -> Option<u64> {
        (asked != 0 || context.is_none() && self.rules.is_forever()).then_some(asked)
    }

    /// Before the body runs.
    #[inline]
    fn begin_load(&self, start: Option<u64>, tally: Tally<'_>) -> Load {
        let timed = tally.times_next_load();
        let start = match start {
            _ if timed => self.clock.now_precise(),
            Some(start) => start,
            None => self.clock.now(),
        };
        Load { start, timed }
    }

    fn load_span(&self) -> Span {
        tracing::debug_span!("load", cache = %self.name)
    }

    /// After the body ran.
    #[inline]
    fn end_load(&self, Load { start, timed }: Load, failed: bool, tally: Tally<'_>) {
        tally.loaded(timed.then(|| self.clock.now_precise().saturating_sub(start)));
        if failed {
            tally.count(Event::LoadFailure);
        }
    }

    /// Ends a flight with what its body returned.
    pub(crate) fn settle<R: Returned<V>>(
        &self,
        leader: &mut Leader<'_, K, V>,
        (start, returned): (u64, R),
        want: Want,
        share: Share<R::Error>,
        context: Option<&LoadContext>,
        keep: Keep,
    ) -> R {
        let said = context.map(LoadContext::said).unwrap_or_default();
        let generation = self.generation();
        let parts = returned.split();
        let failure = match &parts {
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(cache = %self.name, key = %self.digest(&leader.key), "a load failed");
                let Some(failure) = share.export(error) else {
                    leader.fail();
                    return R::join(parts).expect("what was taken apart fits together");
                };
                Some(failure)
            }
        };
        let kept = || match (&parts, &failure) {
            (Ok(Some(value)), _) => Kept::Value(value.clone()),
            (_, Some(failure)) => Kept::Failed(failure.clone()),
            _ => Kept::Nothing,
        };
        let view = View::from(&parts);
        let terms = match keep {
            Keep::ByRules => self.terms(&leader.key.key, view, start, generation, said),
            #[cfg(feature = "redis")]
            Keep::Until { deadline, moving, mark } => {
                self.terms_until(&leader.key.key, view, deadline, moving, generation | mark, said)
            }
            #[cfg(feature = "redis")]
            Keep::No => None,
        };
        let mut entry = terms.map(|terms| Entry { kept: kept(), terms });
        tracing::trace!(cache = %self.name, key = %self.digest(&leader.key), kept = entry.is_some(), "loaded");
        let mut removed = Removed::default();
        let fill = |right, memory: &mut Shard<K, V>| match right {
            // A reload that failed leaves what was there.
            Some(key) if failure.is_none() || want == Want::Fresh => replace(memory, key, entry.take(), &mut removed),
            _ => {}
        };
        leader.land(generation, fill, || (kept(), Tier::Source));
        self.release(&removed);
        R::join(parts).expect("what was taken apart fits together")
    }

    /// Runs the body beside others that may be loading the same key (`single_flight = off`), and keeps the result
    /// unless something of its shard was written meanwhile.
    async fn load_alongside<R, F, Fut>(
        &self,
        key: Stored<K>,
        share: Share<R::Error>,
        context: Option<&LoadContext>,
        body: F,
    ) -> Answered<R>
    where
        R: Returned<V>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R> + Unpin,
    {
        let (ticket, generation) = (self.shards.ticket(), self.generation());
        let (start, returned) = self.run(None, None, body, R::failed).await;
        let parts = returned.split();
        let said = context.map(LoadContext::said).unwrap_or_default();
        let terms = self.terms(&key.key, View::from(&parts), start, generation, said);
        let kept = match &parts {
            Ok(value) => terms.map(|terms| (value.clone().into(), terms)),
            Err(error) => terms.and_then(|terms| Some((Kept::Failed(share.export(error)?), terms))),
        };
        if parts.is_ok() || kept.is_some() {
            let entry = kept.map(|(kept, terms)| Entry { kept, terms });
            self.fill_unless_written(key, entry, ticket, generation);
        }
        Answered::here(R::join(parts).expect("what was taken apart fits together"), Outcome::Loaded)
    }
}
