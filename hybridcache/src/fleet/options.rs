//! What a manager is told about its remote tier.

use std::time::Duration;

use crate::error::Error;

const STALENESS_BOUND: Duration = Duration::from_secs(2);
const SLOWEST_HEARTBEAT: Duration = Duration::from_millis(500);
const FASTEST_HEARTBEAT: Duration = Duration::from_millis(10);
/// How many heartbeats fit into the bound at least: one may be lost, and one is under way.
const HEARTBEATS: u32 = 3;

/// How the caches of a manager go together with the remote tier.
#[derive(Clone, Debug)]
pub(crate) struct FleetOptions {
    /// Memory answers for at most this long after the last word from the remote tier, in `bounded` caches.
    pub(crate) staleness_bound: Duration,
    /// As it was written; see [`heartbeat`](Self::heartbeat).
    pub(crate) said_heartbeat: Option<Duration>,
    /// A cache with a remote tier needs one: working in memory alone is an error.
    pub(crate) require_remote: bool,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self { staleness_bound: STALENESS_BOUND, said_heartbeat: None, require_remote: false }
    }
}

impl FleetOptions {
    /// How often the remote tier is asked where it stands.
    pub(crate) fn heartbeat(&self) -> Duration {
        self.said_heartbeat.unwrap_or_else(|| (self.staleness_bound / 4).min(SLOWEST_HEARTBEAT))
    }

    /// `manager` is what the error names it.
    pub(crate) fn check(&self, manager: &str) -> Result<(), Error> {
        let refuse = |option, reason: &str| Err(Error::option(manager, option, reason));
        if self.said_heartbeat.is_some_and(|said| said < FASTEST_HEARTBEAT) {
            return refuse("heartbeat", "is a round trip each time: at least 10 ms");
        }
        if self.staleness_bound < FASTEST_HEARTBEAT * 4 {
            return refuse("staleness_bound", "several round trips have to fit into it: at least 40 ms");
        }
        if self.staleness_bound < self.heartbeat().saturating_mul(HEARTBEATS) {
            return refuse("heartbeat", "has to fit into `staleness_bound` three times, so that one may be lost");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn refused(options: &FleetOptions) -> Option<&'static str> {
        match options.check("shop").err()?.kind() {
            ErrorKind::Option { option, .. } => Some(option),
            _ => None,
        }
    }

    #[test]
    fn the_heartbeat_follows_the_bound() {
        let with = |bound| FleetOptions { staleness_bound: Duration::from_millis(bound), ..FleetOptions::default() };
        assert_eq!(FleetOptions::default().heartbeat(), Duration::from_millis(500));
        assert_eq!(with(250).heartbeat(), Duration::from_micros(62_500));
        assert_eq!(with(60_000).heartbeat(), Duration::from_millis(500));
        assert_eq!(refused(&with(40)), None);
        assert_eq!(refused(&with(39)), Some("staleness_bound"));
        assert_eq!(refused(&with(0)), Some("staleness_bound"));
    }

    #[test]
    fn three_heartbeats_fit_into_the_bound() {
        let with = |heartbeat| FleetOptions { said_heartbeat: Some(heartbeat), ..FleetOptions::default() };
        assert_eq!(refused(&with(Duration::from_millis(666))), None);
        assert_eq!(refused(&with(Duration::from_millis(667))), Some("heartbeat"));
        assert_eq!(refused(&with(Duration::MAX)), Some("heartbeat"));
        assert_eq!(refused(&with(Duration::ZERO)), Some("heartbeat"));
    }
}
