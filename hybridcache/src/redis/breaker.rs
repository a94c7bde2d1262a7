//! When to leave a server alone that does not answer.

use std::time::{Duration, Instant};

/// Lets everything through until enough in a row failed, then nothing for a while, then one: the probe.
#[derive(Debug)]
pub(super) struct Breaker {
    threshold: u32,
    open_for: Duration,
    /// How many failed since the last that did not.
    failures: u32,
    /// Set while it is not closed.
    open_until: Option<Instant>,
    /// Someone is finding out.
    probing: bool,
}

impl Breaker {
    pub(super) fn new(threshold: u32, open_for: Duration) -> Self {
        Self { threshold, open_for, failures: 0, open_until: None, probing: false }
    }

    /// Whether one more may go, and if so whether it is the probe.
    pub(super) fn admit(&mut self, now: impl FnOnce() -> Instant) -> Option<bool> {
        match self.open_until {
            None => Some(false),
            Some(until) if self.probing || now() < until => None,
            Some(_) => {
                self.probing = true;
                Some(true)
            }
        }
    }

    pub(super) fn succeeded(&mut self) {
        (self.failures, self.open_until, self.probing) = (0, None, false);
    }

    pub(super) fn failed(&mut self, probe: bool, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        // What was sent before it opened and fails only now tells nothing new.
        if probe || (self.open_until.is_none() && self.failures >= self.threshold) {
            (self.open_until, self.probing) = (Some(now + self.open_for), false);
        }
    }

    /// The probe went away before it found out: the next one is it.
    pub(super) fn given_up(&mut self) {
        self.probing = false;
    }

    /// Whether nothing may go now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| self.probing || now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_millis(250);

    #[test]
    fn it_opens_after_enough_in_a_row_and_lets_one_find_out() {
        let start = Instant::now();
        let mut breaker = Breaker::new(3, OPEN_FOR);
        for _ in 0..2 {
            breaker.failed(false, start);
        }
        breaker.succeeded();
        for _ in 0..3 {
            assert_eq!(breaker.admit(|| start), Some(false));
            breaker.failed(false, start);
        }
        assert!(breaker.is_open(start));
        assert!(!breaker.is_open(start + OPEN_FOR), "the next one goes");
        assert_eq!(breaker.admit(|| start + OPEN_FOR / 2), None);
        breaker.failed(false, start + OPEN_FOR / 2);
        assert_eq!(breaker.admit(|| start + OPEN_FOR), Some(true), "a late failure does not keep it open");
        assert_eq!(breaker.admit(|| start + OPEN_FOR), None, "one probe at a time");
        assert!(breaker.is_open(start + OPEN_FOR));
        breaker.failed(true, start + OPEN_FOR);
        assert_eq!(breaker.admit(|| start + OPEN_FOR), None);
        assert_eq!(breaker.admit(|| start + 2 * OPEN_FOR), Some(true));
        breaker.given_up();
        assert_eq!(breaker.admit(|| start + 2 * OPEN_FOR), Some(true), "a probe that went away is replaced");
        breaker.succeeded();
        assert_eq!(breaker.admit(|| start + 2 * OPEN_FOR), Some(false));
    }
}
