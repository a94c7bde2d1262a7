//! The leases that loads of this process hold.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::Fleet;
use crate::bus::{self, NamedKey};
use crate::coherence::give_back;
use crate::coherence::node::Nonce;
use crate::rt::io::{self, Signal};
use crate::time::nanos;

/// How often the leases that are held are looked at. The shortest lease a cache may have is several times as long.
const LOOK: Duration = Duration::from_millis(50);

/// How many are renewed by one command. A large batch holds a lease for each of its keys: one command for each would be in the way of
/// all other calls, and of its own fills.
const TOGETHER: usize = 256;

/// How many counters those share that are expected.
const COUNTERS: usize = 4_096;

/// The leases that are held, and those that are expected. Each that is held is renewed at a third of its life
/// while its load runs, in every mode, so that a loader that is slower than the lease can still fill.
#[derive(Debug)]
pub(super) struct Leases {
    ours: Mutex<HashMap<Nonce, Held>>,
    /// How many are expected, by a part of their nonces: all calls that ask the remote tier pass by here, and few ever look.
    expected: Box<[AtomicU32]>,
    first: Signal,
}

impl Default for Leases {
    fn default() -> Self {
        let expected = (0..COUNTERS).map(|_| AtomicU32::new(0)).collect();
        Self { ours: Mutex::default(), expected, first: Signal::default() }
    }
}

#[derive(Clone, Debug)]
struct Held {
    key: Arc<[u8]>,
    record: Arc<[u8]>,
    lives: Duration,
    /// When it is to be renewed.
    due: u64,
}

impl Fleet {
    /// A call is about to send for this lease.
    pub(crate) fn expect(&self, nonce: Nonce) -> Expected<'_> {
        let counter = self.leases.counter(nonce);
        counter.fetch_add(1, Ordering::AcqRel);
        Expected { counter }
    }

    /// A lease is sent for. `wake` makes what tells waiters to look again, should it have to be given back.
    pub(crate) fn planting<'l, W: Fn() -> Vec<u8>>(
        &'l self,
        key: &'l [u8],
        record: &'l [u8],
        wake: W,
    ) -> Planting<'l, W> {
        Planting { fleet: self, key, record, wake, answered: false }
    }

    /// Takes a lease that was planted just now.
    pub(crate) fn hold(
        self: &Arc<Self>,
        nonce: Nonce,
        key: Arc<[u8]>,
        record: Arc<[u8]>,
        lives: Duration,
        named: NamedKey<'_>,
    ) -> Lease {
        let due = self.clock.now().saturating_add(nanos(lives) / 3);
        let held = Held { key: Arc::clone(&key), record: Arc::clone(&record), lives, due };
        self.leases.ours.lock().insert(nonce, held);
        self.leases.first.notify();
        Lease { fleet: Arc::clone(self), nonce, key, record, wake: bus::wake(nonce, named, None), spent: false }
    }

    /// Whether a load of this process runs under this lease, or is about to.
    ///
    /// Interleaving that the second part defeats: of two calls one is given the lease, and the other is shown it; the other looks here
    /// before the first has run on and holds it; it takes the lease for one that was given up, puts its own in its place, and both load.
    ///
    /// One that was given up may be taken for another that is expected: then whoever asks waits until it was given back.
    pub(crate) fn holds(&self, nonce: Nonce) -> bool {
        // In this order: what is held was expected until then.
        self.leases.counter(nonce).load(Ordering::Acquire) != 0 || self.leases.ours.lock().contains_key(&nonce)
    }

    /// Takes exactly this lease away, in the background.
    fn give_back(&self, key: Arc<[u8]>, record: Arc<[u8]>, wake: Vec<u8>) {
        let driver = Arc::clone(&self.driver);
        self.run_later(async move {
            // If it does not arrive, the lease ends by itself.
            let _ = driver.release(&key, &record, &wake).await;
        });
    }
}

impl Leases {
    fn counter(&self, nonce: Nonce) -> &AtomicU32 {
        &self.expected[nonce as usize % COUNTERS]
    }

    fn due(&self, now: u64) -> Vec<Held> {
        let mut ours = self.ours.lock();
        let due = ours.values_mut().filter(|lease| lease.due <= now);
        due.map(|lease| {
            lease.due = now.saturating_add(nanos(lease.lives) / 3);
            lease.clone()
        })
        .collect()
    }

    /// It is held no longer.
    fn over(&self, nonce: Nonce) {
        let mut ours = self.ours.lock();
        ours.remove(&nonce);
        give_back(&mut ours);
    }

    fn none_held(&self) -> bool {
        self.ours.lock().is_empty()
    }

    /// The fleet is gone: whoever waits for the first lease looks at that.
    pub(super) fn end(&self) {
        self.first.notify();
    }
}

/// Renews what is due until the fleet is gone. Costs nothing while no lease is held.
pub(super) async fn renew(leases: Arc<Leases>, fleet: Weak<Fleet>) {
    loop {
        // A lease that is taken before this waits leaves its notice.
        if leases.none_held() {
            leases.first.notified().await;
        }
        let Some(alive) = fleet.upgrade() else { return };
        let due = leases.due(alive.clock.now());
        for together in due.chunks(TOGETHER) {
            let (driver, together) = (Arc::clone(&alive.driver), together.to_vec());
            // By themselves: some that are slow must not cost the others their turn.
            alive.steward.crew.spawn(async move {
                let renewed = together.iter().map(|Held { key, record, lives, .. }| (&**key, &**record, *lives));
                // One that no longer stands cannot fill, which its load learns when it tries.
                let _ = driver.renew(&renewed.collect::<Vec<_>>()).await;
            });
        }
        drop(alive);
        io::sleep(LOOK).await;
    }
}

/// A lease that a call may send for: it counts as held while this exists.
pub(crate) struct Expected<'l> {
    counter: &'l AtomicU32,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A lease that was sent for, as long as it is not known whether it was planted. Dropped before, it is given back.
pub(crate) struct Planting<'l, W: Fn() -> Vec<u8>> {
    fleet: &'l Fleet,
    key: &'l [u8],
    record: &'l [u8],
    wake: W,
    answered: bool,
}

impl<W: Fn() -> Vec<u8>> Planting<'_, W> {
    /// What was answered is known.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl<W: Fn() -> Vec<u8>> Drop for Planting<'_, W> {
    fn drop(&mut self) {
        if !self.answered {
            self.fleet.give_back(self.key.into(), self.record.into(), (self.wake)());
        }
    }
}

/// A lease on a key. Dropped because its load was, it is given back in the background, and whoever waits for it is told.
#[derive(Debug)]
pub(crate) struct Lease {
    fleet: Arc<Fleet>,
    nonce: Nonce,
    key: Arc<[u8]>,
    pub(crate) record: Arc<[u8]>,
    /// What tells waiters in other processes to look again.
    wake: Vec<u8>,
    spent: bool,
}

impl Lease {
    /// It was filled, or no longer stands: there is nothing to give back.
    pub(crate) fn spent(mut self) {
        self.spent = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.fleet.leases.over(self.nonce);
        if !self.spent {
            let wake = std::mem::take(&mut self.wake);
            self.fleet.give_back(Arc::clone(&self.key), Arc::clone(&self.record), wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_leases_of_a_large_batch_needed_goes_with_them() {
        let leases = Leases::default();
        let [key, record] = [Arc::<[u8]>::default(), Arc::default()];
        let held = Held { key, record, lives: Duration::ZERO, due: 0 };
        leases.ours.lock().extend((0..20_000).map(|nonce| (nonce, held.clone())));
        (0..19_999).for_each(|nonce| leases.over(nonce));
        let ours = leases.ours.lock();
        assert!(ours.contains_key(&19_999));
        let room = ours.capacity();
        assert!(room < 2_000, "room for {room}");
    }
}
