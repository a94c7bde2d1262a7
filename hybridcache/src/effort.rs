//! How tests say what something costs where there is much of it: in time of the processor on their own thread, which is the same on a
//! machine that has other things to do.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What work takes of the processor on this thread.
pub(crate) fn spent(work: impl FnOnce()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("it is not before its begin");
    let began = now();
    work();
    now() - began
}

/// Fails if sixteen times as much takes far more than sixteen times as long: where each looks at all the others, it takes 256 times.
pub(crate) fn grows_as_much(much: u64, takes: impl Fn(u64) -> Duration) {
    // The least of some: what the first one prepares, and what others do to the processor's caches, is no cost of this.
    let least = |much| (0..3).map(|_| takes(much)).min().expect("there are some");
    let (little, long) = (least(much), least(16 * much));
    assert!(long < 64 * little, "{little:?} for {much}, and {long:?} for sixteen times as much");
}
