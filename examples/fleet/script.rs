//! What can be done to a fleet, by keys or by a script.

use std::str::FromStr;
use std::time::Duration;

use crate::database::{ROWS, name};
use crate::fleet::NODES;

/// What is shown where nobody can press keys: every fault, and writes while it lasts.
pub(crate) const TOUR: &str = "wait 1500ms; write 1 a; wait 500ms; evict 2 a; write 2 b; wait 1s; \
    cut 2; write 1 c; wait 3s; mend 2; wait 500ms; \
    pause 3; write 1 d; wait 3s; resume 3; wait 1s; \
    unplug 1; write 1 e; wait 1500ms; mend 1; wait 1s; \
    restart; write 3 f; wait 2s";

/// One thing to do. Nodes and rows are counted from 0 here, from 1 and by letter in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A node commits a row and evicts it.
    Write(usize, usize),
    /// A node evicts a row.
    Evict(usize, usize),
    /// Nothing comes through on the bus of a node.
    Cut(usize),
    /// Nothing comes through at all between a node and Redis.
    Unplug(usize),
    /// Everything comes through again.
    Mend(usize),
    /// A node is stopped (SIGSTOP).
    Pause(usize),
    /// It goes on.
    Resume(usize),
    /// Redis is ended, and started again with nothing in it.
    Restart,
    Wait(Duration),
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        let node = |text: &str| match text.parse() {
            Ok(number @ 1..=NODES) => Ok(number - 1),
            _ => Err(format!("`{text}` is not a node: 1 to {NODES}")),
        };
        let row = |text: &str| {
            let named = (0..ROWS).find(|row| text.parse() == Ok(name(*row)));
            named.ok_or_else(|| format!("`{text}` is not a row: a to {}", name(ROWS - 1)))
        };
        Ok(match *words {
            ["write", by, of] => Self::Write(node(by)?, row(of)?),
            ["evict", by, of] => Self::Evict(node(by)?, row(of)?),
            ["cut", of] => Self::Cut(node(of)?),
            ["unplug", of] => Self::Unplug(node(of)?),
            ["mend", of] => Self::Mend(node(of)?),
            ["pause", of] => Self::Pause(node(of)?),
            ["resume", of] => Self::Resume(node(of)?),
            ["restart"] => Self::Restart,
            ["wait", time] => {
                Self::Wait(humantime::parse_duration(time).map_err(|error| format!("`{time}`: {error}"))?)
            }
            _ => return Err(format!("`{text}` is not a step")),
        })
    }
}

/// Steps, separated by `;`.
pub(crate) fn parse(script: &str) -> Result<Vec<Step>, String> {
    script.split(';').map(str::trim).filter(|step| !step.is_empty()).map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tour_can_be_read() {
        let steps = parse(TOUR).unwrap();
        assert_eq!(steps[1], Step::Write(0, 0));
        assert!(steps.contains(&Step::Restart));
    }

    #[test]
    fn what_is_no_step_is_refused_by_its_text() {
        let wrong = [
            ("write 0 a", "`0`"),
            ("write 4 a", "`4`"),
            ("write 1 z", "`z`"),
            ("wait 1s; write 1", "`write 1`"),
            ("wait long", "`long`"),
            ("explode", "`explode`"),
        ];
        for (script, named) in wrong {
            assert!(parse(script).unwrap_err().contains(named), "{script}");
        }
        assert_eq!(parse(" ; "), Ok(vec![]));
    }
}
