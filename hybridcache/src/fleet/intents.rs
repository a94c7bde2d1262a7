//! Intents whose writes are over, and that the remote tier could not be told to forget.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Fleet;
use crate::coherence::deferred::{Body, Text};
use crate::driver::{Bump, Fault};
use crate::nonce::{Nonce, nonce};
use crate::time::nanos;

/// How long a write may be under way before others may fill again.
pub(crate) const INTENT: Duration = Duration::from_secs(30);
/// How many are remembered at most; one that is forgotten ends by itself.
const REMEMBERED: usize = 10_000;

/// What may keep others from filling for no reason any more.
#[derive(Debug, Default)]
pub(super) struct Abandoned(Mutex<VecDeque<Withdrawal>>);

#[derive(Debug)]
struct Withdrawal {
    intent: Nonce,
    keys: Arc<[Text]>,
    /// By then it has ended by itself.
    until: u64,
}

impl Abandoned {
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    fn take(&self) -> Taken<'_> {
        Taken { of: self, left: std::mem::take(&mut *self.0.lock()) }
    }

    fn add(&self, more: impl IntoIterator<Item = Withdrawal>) {
        let mut all = self.0.lock();
        all.extend(more);
        let forgotten = all.len().saturating_sub(REMEMBERED);
        all.drain(..forgotten);
    }
}

/// What the remote tier is being told. What is left in the end goes back, also where that is the end of a task.
struct Taken<'a> {
    of: &'a Abandoned,
    left: VecDeque<Withdrawal>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.of.add(std::mem::take(&mut self.left));
    }
}

impl Fleet {
    /// The write that an intent on these keys was for is over, and nobody knows whether the remote tier has heard of that: it is told
    /// as soon as it can be reached. The eviction of the keys is queued by itself.
    pub(crate) fn abandon(&self, intent: Nonce, body: &Body) {
        let Body::Keys(keys) = body else { return };
        let until = self.clock.now().saturating_add(nanos(INTENT));
        self.abandoned.add([Withdrawal { intent, keys: Arc::clone(keys), until }]);
    }

    /// Has the remote tier forget them. The first that it does not answer ends it; what is left is for the next heartbeat.
    pub(super) async fn withdraw(&self) {
        let mut taken = self.abandoned.take();
        while let Some(next) = taken.left.front() {
            if self.clock.now() < next.until && self.end(next.intent, &next.keys).await.is_err() {
                return;
            }
            taken.left.pop_front();
        }
    }

    /// Evicts keys once more, which is always safe, and with them the intent. Its message is heard as that of another process is.
    async fn end(&self, intent: Nonce, keys: &Arc<[Text]>) -> Result<(), Fault> {
        // Where the cache is gone the versions of its keys are not known: it ends by itself.
        let Some(remote) = self.remote_keys(keys) else { return Ok(()) };
        let tail = self.tail(&Body::Keys(Arc::clone(keys)));
        let bump = Bump { chain: nonce(), tail: &tail };
        self.driver.evict(&remote, Some(intent), None, bump).await.map(drop)
    }
}
