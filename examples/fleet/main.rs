//! Three processes over one Redis, live: `cargo run --release --example fleet`.
//!
//! Each reads six rows of a slow database through its cache all the time; the table says which version it got last, and from
//! where. Keys write, evict, cut the bus of a node, stop it, restart Redis. Where standard output is no terminal, or with
//! `--script`, the same is done by a script, and it is an error if a node served something older than the bound allows.
//!
//! It needs Unix, and a `redis-server` on the PATH.

mod database;
mod fleet;
mod line;
mod node;
#[path = "../redis_server.rs"]
mod redis_server;
mod screen;
mod script;

use std::error::Error;
use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use fleet::{BOUND, Fleet, Heard, NODES};
use line::Cut;
use redis_server::told_to_end;
use screen::{Screen, Selected, table};
use script::Step;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, interval, sleep};

/// Three processes with a hybrid cache over one Redis: who serves what, and from where.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Steps instead of keys, separated by `;`: write 1 a, evict 2 b, cut 2, unplug 1, mend 2, pause 3, resume 3, restart, wait 500ms
    #[arg(long)]
    script: Option<String>,
    /// Ends after so many seconds; a script begins anew until then
    #[arg(long)]
    seconds: Option<u64>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// What the processes of the fleet are started with
    #[command(hide = true)]
    Node { redis: String, database: PathBuf },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Args::parse() {
        Args { role: Some(Role::Node { redis, database }), .. } => node::run(&redis, database).await,
        args => show(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn show(args: Args) -> Result<(), Box<dyn Error>> {
    let steps = match &args.script {
        Some(script) => Some(script::parse(script)?),
        None if stdout().is_terminal() => None,
        None => Some(script::parse(script::TOUR)?),
    };
    let told = told_to_end()?;
    let (say, heard) = unbounded_channel();
    let mut fleet = Fleet::start(&say).await?;
    let seconds = args.seconds.map(Duration::from_secs);
    let shown = tokio::select! {
        shown = async {
            match &steps {
                Some(steps) => scripted(&mut fleet, heard, steps, seconds).await,
                None => live(&mut fleet, heard, seconds).await,
            }
        } => shown,
        () = told => Ok(()),
    };
    fleet.end().await;
    shown
}

/// Does what keys say, until `q` or Ctrl-C.
async fn live(
    fleet: &mut Fleet,
    mut heard: UnboundedReceiver<Heard>,
    limit: Option<Duration>,
) -> Result<(), Box<dyn Error>> {
    let screen = Screen::open()?;
    let (pressed, mut keys) = unbounded_channel();
    // A thread that blocks for ever: it ends with the process.
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Event::Key(key) = event
                && key.kind != KeyEventKind::Release
                && pressed.send(key).is_err()
            {
                return;
            }
        }
    });
    let began = Instant::now();
    let mut selected = Selected::default();
    let mut frame = interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            Some(said) = heard.recv() => fleet.hear(said)?,
            key = keys.recv() => {
                let Some(key) = key else { return Ok(()) };
                if is_the_end(key) {
                    return Ok(());
                }
                if let Some(step) = meant(key, fleet, &mut selected) {
                    fleet.act(step).await?;
                }
            }
            _ = frame.tick() => {
                screen.draw(fleet, selected)?;
                if limit.is_some_and(|limit| began.elapsed() >= limit) {
                    return Ok(());
                }
            }
        }
    }
}

fn is_the_end(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) || control && key.code == KeyCode::Char('c')
}

/// What a key means; keys that select are done at once.
fn meant(key: KeyEvent, fleet: &Fleet, selected: &mut Selected) -> Option<Step> {
    let Selected { node, row } = *selected;
    match key.code {
        KeyCode::Char(digit @ '1'..='9') => selected.node = (digit as usize - '1' as usize).min(NODES - 1),
        KeyCode::Up => selected.node = (node + NODES - 1) % NODES,
        KeyCode::Down => selected.node = (node + 1) % NODES,
        KeyCode::Left => selected.row = (row + database::ROWS - 1) % database::ROWS,
        KeyCode::Right => selected.row = (row + 1) % database::ROWS,
        KeyCode::Char('w') => return Some(Step::Write(node, row)),
        KeyCode::Char('e') => return Some(Step::Evict(node, row)),
        KeyCode::Char('r') => return Some(Step::Restart),
        KeyCode::Char('p') if fleet.nodes[node].paused => return Some(Step::Resume(node)),
        KeyCode::Char('p') => return Some(Step::Pause(node)),
        KeyCode::Char('b' | 'u') if fleet.nodes[node].line.state() != Cut::Nothing => return Some(Step::Mend(node)),
        KeyCode::Char('b') => return Some(Step::Cut(node)),
        KeyCode::Char('u') => return Some(Step::Unplug(node)),
        _ => {}
    }
    None
}

/// Does what a script says, prints what happens, and judges it. Not by `println!`, which panics when whoever reads it has
/// gone away.
async fn scripted(
    fleet: &mut Fleet,
    mut heard: UnboundedReceiver<Heard>,
    steps: &[Step],
    limit: Option<Duration>,
) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let (mut since, mut pause, mut rest) = (began, Duration::ZERO, steps.iter());
    let mut frame = interval(Duration::from_secs(1));
    let mut printed = Duration::ZERO;
    loop {
        let ends = limit.is_some_and(|limit| began.elapsed() >= limit);
        tokio::select! {
            Some(said) = heard.recv() => fleet.hear(said)?,
            _ = frame.tick() => writeln!(stdout(), "{}", table(fleet, None))?,
            () = sleep(pause.saturating_sub(since.elapsed())), if !ends => match rest.next() {
                Some(Step::Wait(time)) => (since, pause) = (Instant::now(), *time),
                Some(step) => fleet.act(*step).await?,
                None if limit.is_some() && !steps.is_empty() => rest = steps.iter(),
                None => break,
            }
        }
        if ends {
            break;
        }
        for (at, what) in fleet.log.iter().filter(|(at, _)| *at > printed) {
            writeln!(stdout(), "{:>7.2} s  {what}", at.as_secs_f64())?;
        }
        printed = fleet.log.back().map_or(printed, |(at, _)| *at);
    }
    let worst = fleet.nodes.iter().map(|node| node.worst).max().unwrap_or_default();
    writeln!(
        stdout(),
        "{}\nan older version was served for at most {:.1} ms after its evict was acknowledged",
        table(fleet, None),
        worst.as_secs_f64() * 1e3
    )?;
    if worst > BOUND {
        return Err(format!("that is more than the bound, {BOUND:?}").into());
    }
    if fleet.nodes.iter().any(|node| node.ended) {
        return Err("a node has ended that nobody told to".into());
    }
    if fleet.nodes.iter().all(|node| node.report.memory + node.report.redis + node.report.source == 0) {
        return Err("no node has read anything".into());
    }
    Ok(())
}
