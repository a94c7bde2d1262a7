//! The table: who serves what, and from where.

use std::fmt::Write as _;
use std::io::{self, Write as _, stdout};
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Color, Stylize};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};

use crate::database::{ROWS, name};
use crate::fleet::{BOUND, Fleet, Node};
use crate::line::Cut;
use crate::node::{Origin, Served};

const LEGEND: &str = "mem, redis, src: where an answer came from; green: the newest, red: an older one";
const KEYS: &str = "1 2 3 node   ← → row   w write   e evict   b cut the bus   u unplug   p pause
r restart Redis   q quit";
/// What happened is shown as far as there is room.
const LOGGED: usize = 12;

/// The node and the row that keys are about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Selected {
    pub(crate) node: usize,
    pub(crate) row: usize,
}

/// A terminal that is drawn on. It is as it was when this is dropped.
pub(crate) struct Screen;

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let screen = Self;
        execute!(stdout(), EnterAlternateScreen, DisableLineWrap, Hide)?;
        Ok(screen)
    }

    pub(crate) fn draw(&self, fleet: &Fleet, selected: Selected) -> io::Result<()> {
        let mut text = format!("hybridcache: a fleet of {} processes, bound {BOUND:?}\n\n", fleet.nodes.len());
        text += &table(fleet, Some(selected));
        let _ = writeln!(text, "\n{LEGEND}\n\n{KEYS}\n");
        let (_, height) = size()?;
        let room = usize::from(height).saturating_sub(text.lines().count()).min(LOGGED);
        for (at, what) in fleet.log.iter().rev().take(room).rev() {
            let _ = writeln!(text, "{:>7.2} s  {what}", at.as_secs_f64());
        }
        let mut out = stdout().lock();
        queue!(out, BeginSynchronizedUpdate)?;
        for (row, line) in (0..height).zip(text.lines()) {
            queue!(out, MoveTo(0, row), Clear(ClearType::FromCursorDown))?;
            write!(out, "{line}")?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(stdout(), Show, EnableLineWrap, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// Two tables, with colours if somebody is there to select: what each node serves, and how it is. Either fits into 80
/// columns.
pub(crate) fn table(fleet: &Fleet, selected: Option<Selected>) -> String {
    let paint = |text: String, colour: Color| match selected {
        Some(_) => text.with(colour).to_string(),
        None => text,
    };
    let title = |number: usize| {
        let title = format!("{:<8}", number + 1);
        let here = selected.is_some_and(|selected| selected.node == number);
        if here { title.reverse().to_string() } else { title }
    };
    let mut text = format!("{:<8}{:<10}", "node", "state");
    for row in 0..ROWS {
        let title = format!("{:<10}", name(row));
        let here = selected.is_some_and(|selected| selected.row == row);
        text += &if here { title.reverse().to_string() } else { title };
    }
    for (number, node) in fleet.nodes.iter().enumerate() {
        text += &format!("\n{}", title(number));
        let (state, colour) = state(fleet, node);
        text += &paint(format!("{state:<10}"), colour);
        for (served, newest) in node.report.rows.iter().zip(&fleet.newest) {
            let colour = match served.version {
                _ if node.paused || node.ended => Color::DarkGrey,
                version if (1..*newest).contains(&version) => Color::Red,
                _ => Color::Green,
            };
            text += &paint(cell(served), colour);
        }
    }
    text += &format!("\n{:<18}", "source");
    for newest in &fleet.newest {
        let _ = write!(text, "{:<10}", format!("v{newest}"));
    }
    text += "\n\nnode      memory   redis  source  bus   breaker  last word  worst lag\n";
    for (number, node) in fleet.nodes.iter().enumerate() {
        let report = &node.report;
        let bus = match (node.line.state(), report.subscribed) {
            (Cut::Bus | Cut::Everything, _) => "cut",
            (Cut::Nothing, true) => "up",
            (Cut::Nothing, false) => "down",
        };
        let breaker = if report.breaker_open { "open" } else { "closed" };
        let word = report.last_word.map_or("never".to_owned(), |ago| format!("{:.1} s", ago.as_secs_f64()));
        let _ = write!(text, "{}{:>8}{:>8}{:>8}  ", title(number), report.memory, report.redis, report.source);
        let _ = writeln!(text, "{bus:<6}{breaker:<9}{word:<11}{}", lag(node.worst));
    }
    text
}

fn state(fleet: &Fleet, node: &Node) -> (&'static str, Color) {
    let report = &node.report;
    match () {
        () if node.ended => ("ended", Color::DarkGrey),
        () if node.paused => ("stopped", Color::DarkGrey),
        () if fleet.is_behind(node) => ("behind", Color::Red),
        () if report.in_step => ("in step", Color::Green),
        () => ("unsure", Color::Yellow),
    }
}

/// Ten columns, of which the last is empty.
fn cell(served: &Served) -> String {
    let from = match served.from {
        Origin::Nowhere => return format!("{:<10}", "-"),
        Origin::Memory => "mem",
        Origin::Redis => "redis",
        Origin::Source => "src",
    };
    format!("{:<10.9}", format!("v{} {from}", served.version))
}

fn lag(lag: Duration) -> String {
    if lag.is_zero() { "-".to_owned() } else { format!("{:.1} ms", lag.as_secs_f64() * 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_apart_whatever_the_version() {
        for (version, shown) in [(9, "v9 redis  "), (100, "v100 redi "), (12_345, "v12345 re ")] {
            let served = Served { version, from: Origin::Redis, ..Served::default() };
            assert_eq!(cell(&served), shown);
        }
        assert_eq!(cell(&Served::default()), "-         ");
    }
}
