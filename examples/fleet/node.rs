//! A node: a process that reads rows through its cache all the time, writes when it is told to, and reports what it sees.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Evicted, Share, Tier};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::database::{Database, ROWS};
use crate::fleet::BOUND;
use crate::script::Step;

const READ_EVERY: Duration = Duration::from_millis(10);
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// How slow the database is.
const LOAD_TAKES: Duration = Duration::from_millis(20);

/// What a node writes, a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Report(Box<Report>),
    /// A row was evicted, after a commit of this version if it was written.
    Done {
        row: usize,
        committed: Option<u64>,
        outcome: Outcome,
        took: Duration,
    },
    /// Nothing more: it has ended.
    #[serde(skip)]
    Ended,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged,
    Deferred,
    Failed(String),
}

/// How a node is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) rows: [Served; ROWS],
    pub(crate) memory: u64,
    pub(crate) redis: u64,
    pub(crate) source: u64,
    pub(crate) subscribed: bool,
    pub(crate) breaker_open: bool,
    pub(crate) in_step: bool,
    pub(crate) deferred: bool,
    pub(crate) last_word: Option<Duration>,
}

/// What a row was served as last.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Served {
    pub(crate) version: u64,
    pub(crate) from: Origin,
    /// When the last read began that got this version.
    pub(crate) began: Duration,
    /// The version before, and when the last read began that got it.
    pub(crate) before: (u64, Duration),
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) enum Origin {
    #[default]
    Nowhere,
    Memory,
    Redis,
    Source,
}

/// A clock that all processes of the machine share.
pub(crate) fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Runs a node until its standard input ends.
pub(crate) async fn run(redis: &str, database: PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    let database = Database::open(database);
    let manager = CacheManager::builder().namespace("fleet").redis(redis).staleness_bound(BOUND).build().await?;
    let rows: Cache<usize, u64> =
        Cache::builder("rows").ttl(Duration::from_secs(60)).hybrid(MsgPack).manager(&manager).build()?;
    let seen = Arc::new(Mutex::new([Served::default(); ROWS]));
    for row in 0..ROWS {
        tokio::spawn(read(rows.clone(), database.clone(), row, Arc::clone(&seen)));
    }
    let (order, mut orders) = mpsc::unbounded_channel();
    // A thread that blocks for ever: it ends with the process.
    std::thread::spawn(move || io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| order.send(line)));
    let mut report = tokio::time::interval(REPORT_EVERY);
    loop {
        tokio::select! {
            _ = report.tick() => say(&Said::Report(Box::new(status(&manager, &rows, &seen))))?,
            order = orders.recv() => match order.map(|order| order.parse()) {
                Some(Ok(Step::Write(_, row))) => { tokio::spawn(change(rows.clone(), Some(database.clone()), row)); }
                Some(Ok(Step::Evict(_, row))) => { tokio::spawn(change(rows.clone(), None, row)); }
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }
}

async fn read(rows: Cache<usize, u64>, database: Database, row: usize, seen: Arc<Mutex<[Served; ROWS]>>) {
    loop {
        let began = now();
        let load = |_| async {
            let version = database.version(row);
            tokio::time::sleep(LOAD_TAKES).await;
            version
        };
        let fetched = rows.fetch(&row).load(Share::io(), load).await;
        if let Ok(version) = fetched.result {
            let from = match fetched.tier {
                Tier::Memory => Origin::Memory,
                Tier::Redis => Origin::Redis,
                _ => Origin::Source,
            };
            let served = &mut seen.lock().expect("nobody panics with it")[row];
            let before = if served.version == version { served.before } else { (served.version, served.began) };
            *served = Served { version, from, began, before };
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}

/// Commits, if there is something to commit to, and evicts: in this order.
async fn change(rows: Cache<usize, u64>, commit: Option<Database>, row: usize) {
    let committed = commit.map(|database| database.commit(row)).transpose();
    let began = Instant::now();
    let outcome = match (&committed, rows.evict(&row).await) {
        (Err(error), _) => Outcome::Failed(error.to_string()),
        (_, Err(error)) => Outcome::Failed(error.to_string()),
        (_, Ok(Evicted::Deferred)) => Outcome::Deferred,
        (_, Ok(_)) => Outcome::Acknowledged,
    };
    let committed = committed.ok().flatten();
    // A parent that is gone has closed our standard input too.
    let _ = say(&Said::Done { row, committed, outcome, took: began.elapsed() });
}

fn status(manager: &CacheManager, rows: &Cache<usize, u64>, seen: &Mutex<[Served; ROWS]>) -> Report {
    let (health, stats) = (manager.remote_health().unwrap_or_default(), rows.stats());
    Report {
        rows: *seen.lock().expect("nobody panics with it"),
        memory: stats.hits,
        redis: stats.remote.hits,
        source: stats.loads,
        subscribed: health.subscribed,
        breaker_open: health.breaker_open,
        in_step: health.in_step,
        deferred: health.deferred,
        last_word: health.last_word,
    }
}

fn say(said: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    io::stdout().lock().write_all(&line)
}
