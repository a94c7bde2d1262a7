//! One connection of redis-rs, who waits for an answer on it, and what an answer says of the link.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value};

use super::commands::Made;
use super::link::Link;
use super::reply;
use crate::driver::{Fault, Found};
use crate::rt::io::{self, oneshot};

/// A deadline that is never reached, and that timers can express.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Who waits for an answer.
pub(super) struct Caller {
    /// For how long, from when its commands are taken to be sent.
    pub(super) limit: Duration,
    /// It finds out whether the server is back.
    pub(super) probe: bool,
    pub(super) answer: Answer,
}

/// Where a caller waits.
pub(super) enum Answer {
    /// For what the server says to each command.
    Values(oneshot::Sender<Result<Vec<Value>, Fault>>),
    /// For what a read came to: that is taken from the server's words before they change threads, since each byte of it has to.
    Found(oneshot::Sender<Result<Found, Fault>>),
}

impl Answer {
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Values(answer) => answer.is_closed(),
            Self::Found(answer) => answer.is_closed(),
        }
    }

    /// Nobody has to be there any more.
    fn send(self, mut said: impl Iterator<Item = Value>) {
        match self {
            Self::Values(answer) => _ = answer.send(Ok(said.collect())),
            Self::Found(answer) => _ = answer.send(reply::found(said.next(), said.next())),
        }
    }

    fn fail(self) {
        match self {
            Self::Values(answer) => _ = answer.send(Err(Fault::Unanswered)),
            Self::Found(answer) => _ = answer.send(Err(Fault::Unanswered)),
        }
    }
}

/// A caller's wait.
pub(super) struct Wait {
    since: Instant,
    pub(super) until: Instant,
    pub(super) caller: Caller,
}

impl Wait {
    pub(super) fn new(since: Instant, caller: Caller) -> Self {
        Self { since, until: since.checked_add(caller.limit).unwrap_or(since + FOR_EVER), caller }
    }
}

/// A connection of a link.
pub(super) struct Line {
    link: Weak<Link>,
    generation: u64,
    connection: MultiplexedConnection,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Line {
    pub(super) fn new(link: &Arc<Link>, generation: u64, connection: MultiplexedConnection) -> Self {
        Self { link: Arc::downgrade(link), generation, connection }
    }

    /// The first look at what is returned is what sends them.
    pub(super) fn send(&self, commands: Pipeline) -> impl Future<Output = RedisResult<Vec<Value>>> + Send + use<> {
        let mut connection = self.connection.clone();
        async move { connection.send_packed_commands(&commands, 0, commands.len()).await }
    }

    /// Sends the commands of one caller where that is polled, and gives it the answer.
    pub(super) async fn carry(self: Arc<Self>, commands: Made, caller: Caller) {
        /// Of a caller that goes away before there is an answer.
        struct Gone(Arc<Line>, Option<Wait>);
        impl Drop for Gone {
            fn drop(&mut self) {
                if let Some(wait) = self.1.take() {
                    self.0.give_up(&wait.caller);
                }
            }
        }

        let (number, limit) = (commands.len(), caller.limit);
        let mut pipeline = Pipeline::with_capacity(number);
        commands.add_to(&mut pipeline);
        let reply = self.send(pipeline);
        let mut gone = Gone(self, Some(Wait::new(Instant::now(), caller)));
        // The timer is not of the caller's runtime, which nobody may be there to drive when the time is over.
        let reply = io::within(limit, reply).await;
        let wait = gone.1.take();
        match (reply, wait) {
            (Some(reply), wait) => gone.0.hand_out([(number, wait)], reply),
            (None, Some(wait)) => gone.0.fail(wait, false),
            (None, None) => {}
        }
    }

    /// Gives each caller the answers to its commands, so many of those that were sent together.
    pub(super) fn hand_out(
        &self,
        waits: impl IntoIterator<Item = (usize, Option<Wait>)>,
        reply: RedisResult<Vec<Value>>,
    ) {
        let Some(link) = self.link.upgrade() else { return };
        let Ok(values) = reply else {
            return waits.into_iter().filter_map(|(_, wait)| wait).for_each(|wait| self.fail(wait, true));
        };
        link.answered(self.generation);
        let mut values = values.into_iter();
        for (number, wait) in waits {
            let mut said = values.by_ref().take(number).inspect(|value| link.note(self.generation, value));
            match wait {
                Some(wait) => wait.caller.answer.send(said),
                None => said.by_ref().for_each(drop),
            }
        }
    }

    /// Nobody knows whether it was executed; `broken` if the connection said so.
    pub(super) fn fail(&self, Wait { since, caller, .. }: Wait, broken: bool) {
        // Whoever went away says nothing of the server.
        if caller.answer.is_closed() && !broken {
            return self.give_up(&caller);
        }
        if let Some(link) = self.link.upgrade() {
            link.unanswered(self.generation, caller.probe, since, broken);
        }
        caller.answer.fail();
    }

    /// The caller went away.
    pub(super) fn give_up(&self, caller: &Caller) {
        if let Some(link) = self.link.upgrade()
            && caller.probe
        {
            link.give_up_probe();
        }
    }

    /// It ends.
    pub(super) fn lose(&self) {
        if let Some(link) = self.link.upgrade() {
            link.lose(self.generation);
        }
    }
}
