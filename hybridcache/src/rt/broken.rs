//! Rules that a test breaks on purpose, to see that somebody notices.
//!
//! Only in a build with `--cfg hybridcache_faults`, which no feature turns on, and there only the one rule that
//! `HYBRIDCACHE_BREAK` names. In every other build no rule is ever broken, and the compiler knows.

/// A rule that can be broken. The numbers are those of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// R1: each attempt to load has a lease of its own.
    Lease,
    /// R2: only who has the lease fills.
    Fill,
    /// R4: what was missed is made up for.
    Log,
    /// R5: a fence vouches from when it was sent.
    FenceTime,
    /// R6: memory answers while it is vouched for.
    Fence,
    /// R9: who evicted is rid of what was read before the answer came.
    OwnAnswer,
    /// R9: also if it never came.
    OwnQueue,
    /// R14: a value is born when its load begins.
    Born,
}

/// For how long some rule is broken that else would be so for a few microseconds.
pub(crate) const HELD_OPEN: std::time::Duration = std::time::Duration::from_millis(30);

#[cfg(not(hybridcache_faults))]
#[inline]
pub(crate) const fn is_broken(_: Rule) -> bool {
    false
}

#[cfg(hybridcache_faults)]
pub(crate) fn is_broken(rule: Rule) -> bool {
    use std::sync::OnceLock;

    static BROKEN: OnceLock<Option<String>> = OnceLock::new();
    let broken = BROKEN.get_or_init(|| std::env::var("HYBRIDCACHE_BREAK").ok());
    broken.as_ref().is_some_and(|name| *name == format!("{rule:?}"))
}
