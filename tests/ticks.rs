//! A clock by which a test may say that something is quick, on a machine that is not.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// When something began, by a clock that stands still with the machine: it counts how often a thread that sleeps for a millisecond is
/// woken. Whatever keeps a test waiting for a processor keeps that thread waiting, too.
#[derive(Clone, Copy, Debug)]
pub struct Ticks(u64);

static NOW: AtomicU64 = AtomicU64::new(0);

impl Ticks {
    /// It begins now.
    #[must_use]
    pub fn start() -> Self {
        static RUNS: Once = Once::new();
        RUNS.call_once(|| {
            std::thread::spawn(|| {
                loop {
                    std::thread::sleep(Duration::from_millis(1));
                    NOW.fetch_add(1, Relaxed);
                }
            });
        });
        Self(NOW.load(Relaxed))
    }

    /// How long ago that was.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Duration::from_millis(NOW.load(Relaxed) - self.0)
    }
}
