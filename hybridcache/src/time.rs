//! Clocks, deadlines and jitter.
//!
//! Inside the cache an instant is a `u64` of nanoseconds on the monotonic clock of one [`Clock`], and [`NEVER`] is
//! later than all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A deadline that is never reached.
pub(crate) const NEVER: u64 = u64::MAX;

/// Where a cache reads the time.
///
/// The default, [`Clock::kernel`], is the kernel's own coarse monotonic clock: it costs about 5 ns to read where
/// `Instant::now` costs about 20, which would double a hit. It lags the precise clock by a kernel tick (1 to 10 ms), or a
/// little more where ticks come late, so deadlines are set two ticks early; a cache with a lifetime below 64 ticks reads
/// the precise clock by itself. It is a kernel clock, not one that a thread of ours advances: a process that was stopped
/// and continued sees the time that passed at its first read. While the machine is suspended it stands still, as `Instant` does.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Kernel,
    Precise,
    Manual(Arc<AtomicU64>),
    #[cfg(feature = "test-util")]
    Tokio(tokio::time::Instant),
}

impl Default for Clock {
    fn default() -> Self {
        Self::kernel()
    }
}

impl Clock {
    /// The kernel's coarse monotonic clock (`Instant` where there is none). The default.
    #[must_use]
    pub const fn kernel() -> Self {
        Self(Source::Kernel)
    }

    /// The kernel's precise monotonic clock: about four times the cost of [`kernel`](Self::kernel), no lag.
    #[must_use]
    pub const fn precise() -> Self {
        Self(Source::Precise)
    }

    /// A clock that stands still until [`advance`](Self::advance) or [`rewind`](Self::rewind) moves it, for tests.
    /// Clones share their time.
    #[must_use]
    pub fn manual() -> Self {
        // Far from zero, so that a test can rewind it.
        Self(Source::Manual(Arc::new(AtomicU64::new(1 << 60))))
    }

    /// A clock that follows `tokio::time::pause` and `tokio::time::advance` of the runtime it is read on, for tests.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    #[must_use]
    pub fn tokio() -> Self {
        Self(Source::Tokio(tokio::time::Instant::now()))
    }

    /// Moves a [`manual`](Self::manual) clock forward; any other clock moves by itself and ignores this.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            let _ = now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |t| Some(t.saturating_add(nanos(by))));
        }
    }

    /// Moves a [`manual`](Self::manual) clock back, to see what a cache does when a clock misbehaves.
    pub fn rewind(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            let _ = now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |t| Some(t.saturating_sub(nanos(by))));
        }
    }

    /// The clock's present, cheaply: what a hit compares deadlines with.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match &self.0 {
            Source::Kernel => kernel::coarse(),
            other => other.now_slowly(),
        }
    }

    /// The present of [`Clock::kernel`].
    #[inline]
    pub(crate) fn kernel_now() -> u64 {
        kernel::coarse()
    }

    /// Whether this is [`Clock::kernel`].
    pub(crate) fn is_kernel(&self) -> bool {
        matches!(self.0, Source::Kernel)
    }

    /// The clock's present without lag: what latencies are measured by, and lifetimes where that matters.
    // Out of line: it takes long by itself, and those who come by without it need not pay for its size.
    #[inline(never)]
    pub(crate) fn now_precise(&self) -> u64 {
        match &self.0 {
            Source::Kernel => kernel::precise(),
            other => other.now_slowly(),
        }
    }

    /// How far [`now`](Self::now) may lag behind the truth: a tick of the kernel, and as much again, because the ticks of a busy or
    /// virtual machine come late.
    pub(crate) fn lag(&self) -> u64 {
        match &self.0 {
            Source::Kernel => 2 * kernel::tick(),
            _ => 0,
        }
    }

    /// The clock to use for lifetimes as short as `shortest`: the precise one where the lag would be more than a few per cent.
    pub(crate) fn fit_for(self, shortest: Duration) -> Self {
        if nanos(shortest) < 32 * self.lag() { Self::precise() } else { self }
    }

    /// Whether real time drives this clock, so that a background sweep by real time makes sense.
    pub(crate) fn is_real(&self) -> bool {
        matches!(self.0, Source::Kernel | Source::Precise)
    }

    /// Whether timers have to be those of the caller's own tokio runtime.
    pub(crate) fn follows_tokio(&self) -> bool {
        #[cfg(feature = "test-util")]
        if let Source::Tokio(_) = self.0 {
            return true;
        }
        false
    }
}

impl Source {
    // Out of line: a hit on the default clock pays for one compare only.
    #[inline(never)]
    fn now_slowly(&self) -> u64 {
        match self {
            Self::Kernel => kernel::coarse(),
            Self::Precise => kernel::precise(),
            Self::Manual(now) => now.load(Ordering::SeqCst),
            #[cfg(feature = "test-util")]
            Self::Tokio(origin) => nanos(tokio::time::Instant::now().saturating_duration_since(*origin)),
        }
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

    #[inline]
    fn nanos(t: Timespec) -> u64 {
        // A monotonic clock counts from boot: both parts are small and positive.
        (t.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(t.tv_nsec as u64)
    }

    #[inline]
    pub(super) fn coarse() -> u64 {
        nanos(clock_gettime(ClockId::MonotonicCoarse))
    }

    #[inline]
    pub(super) fn precise() -> u64 {
        nanos(clock_gettime(ClockId::Monotonic))
    }

    pub(super) fn tick() -> u64 {
        nanos(clock_getres(ClockId::MonotonicCoarse))
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::sync::OnceLock;
    use std::time::Instant;

    pub(super) fn precise() -> u64 {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        super::nanos(ORIGIN.get_or_init(Instant::now).elapsed())
    }

    pub(super) fn coarse() -> u64 {
        precise()
    }

    pub(super) fn tick() -> u64 {
        0
    }
}

/// Says yes once a minute: what may be so of every call is in the log that often.
#[cfg(feature = "redis")]
#[derive(Debug, Default)]
pub(crate) struct Seldom(AtomicU64);

#[cfg(feature = "redis")]
impl Seldom {
    pub(crate) fn may(&self, now: u64) -> bool {
        const APART: u64 = 60_000_000_000;
        let from = self.0.load(Ordering::Relaxed);
        let next = now.saturating_add(APART);
        from <= now && self.0.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// A duration in nanoseconds; what does not fit (584 years) is the longest there is.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// The deadline of something that starts at `start` and may live `lifetime`, early by the clock's `lag`.
pub(crate) fn deadline(start: u64, lifetime: u64, lag: u64) -> u64 {
    if lifetime == NEVER { NEVER } else { start.saturating_add(lifetime).saturating_sub(lag) }
}

/// Shortens `lifetime` by a random part of up to `share` of it (`0.1` is ten per cent); never lengthens it.
pub(crate) fn jittered(lifetime: u64, share: f64, random: u64) -> u64 {
    if share <= 0.0 || lifetime == NEVER {
        return lifetime;
    }
    let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
    lifetime - (lifetime as f64 * share * part) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_shortens_and_stays_within_its_share() {
        for random in [0, 1, u64::MAX / 3, u64::MAX / 2, u64::MAX] {
            let lived = jittered(1_000_000, 0.1, random);
            assert!((900_000..=1_000_000).contains(&lived), "{lived}");
        }
        assert_eq!(jittered(NEVER, 0.5, u64::MAX), NEVER);
        assert_eq!(jittered(77, 0.0, u64::MAX), 77);
    }

    #[test]
    fn deadlines_saturate_and_come_early_by_the_lag() {
        assert_eq!(deadline(100, 50, 4), 146);
        assert_eq!(deadline(100, NEVER, 4), NEVER);
        assert_eq!(deadline(NEVER - 1, NEVER - 1, 4), NEVER - 4);
        assert_eq!(nanos(Duration::MAX), NEVER);
    }

    #[test]
    fn the_coarse_clock_is_never_ahead_and_never_goes_back() {
        let clock = Clock::kernel();
        let mut last = 0;
        for _ in 0..10_000 {
            let coarse = clock.now();
            assert!(coarse <= clock.now_precise());
            assert!(coarse >= last);
            last = coarse;
        }
    }

    #[test]
    fn a_short_lifetime_takes_the_precise_clock() {
        let lag = Clock::kernel().lag();
        assert_eq!(Clock::kernel().fit_for(Duration::from_millis(5)).lag(), 0);
        assert_eq!(Clock::kernel().fit_for(Duration::from_secs(1)).lag(), lag);
    }

    #[test]
    fn a_manual_clock_stands_until_it_is_moved() {
        let clock = Clock::manual();
        let start = clock.now();
        assert_eq!(clock.now_precise(), start);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.clone().now(), start + 1_000_000_000);
        clock.rewind(Duration::from_secs(2));
        assert_eq!(clock.now(), start - 1_000_000_000);
    }
}
