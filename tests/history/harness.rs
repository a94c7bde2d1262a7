//! Runs a fleet, has the nemesis at it, collects what everybody wrote down, and has it judged.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::database::Database;
use super::judge::{History, Judgement, Lapse, Promises, Violation, judge};
use super::nemesis::Fault;
use super::node::Orders;
use super::operation::{Log, What};
use super::process::Process;
use super::{ALL_KEYS, LEASE, NODES, STALENESS_BOUND, nanos, now, ttl};
use crate::proxy::Proxy;
use crate::redis_server::RedisServer;
use crate::{Random, say};

/// The clocks of processes run at one rate; what is added is the lag of the coarse one that hits read. The library takes two ticks
/// off for it, and again for the age of a load that is joined; a machine with more to do than processors has ticks that come later.
const SLACK: Duration = Duration::from_millis(10);
/// After the last fault: what was committed without an evict, because its writer was killed, lives until its lifetime ends.
const SETTLES: Duration = Duration::from_millis(6_500);
/// For so long it is judged whether everything is in order again.
const JUDGED: Duration = Duration::from_secs(2);
/// What has to happen for the run to count.
const LEAST_READS: u64 = 20_000;
const LEAST_MEMORY: f64 = 0.3;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of every choice.
    pub seed: u64,
    /// Of the time with faults, in random order. Each of them occurs at least once, however short it is.
    pub length: Duration,
    /// Which.
    pub faults: Vec<Fault>,
    /// The program that has the subcommand `node`.
    pub node: PathBuf,
    /// The rule that is broken on purpose, in a build that can (`--cfg hybridcache_faults`).
    pub broken: Option<&'static str>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    /// Where the logs are, if they show that a promise was broken.
    logs: Option<PathBuf>,
    reads: u64,
    memory: u64,
    faults: BTreeMap<String, u64>,
    counters: BTreeMap<String, u64>,
    operations: BTreeMap<String, u64>,
    /// What was promised, and whether it was kept.
    pub judgement: Judgement,
}

pub(super) struct Fleet {
    plan: Plan,
    folder: PathBuf,
    database: Database,
    pub(super) redis: RedisServer,
    pub(super) nodes: Vec<Node>,
    pub(super) lapses: Vec<Lapse>,
    /// When Redis lost what it should have kept: from when to when.
    pub(super) losses: Vec<(u64, u64)>,
    pub(super) random: Random,
    /// How many were started.
    processes: u64,
    began: Instant,
    /// What is being done, and to what end it came, for who finds that it came to none.
    story: File,
    now: String,
    judged: bool,
}

pub(super) struct Node {
    pub(super) proxy: Proxy,
    process: u64,
    pub(super) running: Process,
}

/// Runs a plan.
///
/// # Panics
///
/// If a process ends that nobody killed.
#[must_use]
pub fn run(plan: &Plan) -> Report {
    let mut fleet = Fleet::start(plan);
    sleep(Duration::from_secs(1));
    let mut faults: BTreeMap<String, u64> = plan.faults.iter().map(|fault| (format!("{fault:?}"), 0)).collect();
    let start = Instant::now();
    let mut first = true;
    loop {
        let mut round = plan.faults.clone();
        for last in (1..round.len()).rev() {
            round.swap(last, fleet.random.below(last as u64 + 1) as usize);
        }
        for fault in round {
            if !first && start.elapsed() >= plan.length {
                return fleet.end(faults);
            }
            fleet.weather();
            fleet.begin(format!("{fault:?}"));
            fleet.suffer(fault);
            *faults.get_mut(&format!("{fault:?}")).expect("all are there") += 1;
            sleep(Duration::from_millis(fleet.random.below(800)));
            fleet.is_alive();
        }
        first = false;
    }
}

/// A server of which a replica is there at once.
pub(super) fn redis() -> RedisServer {
    RedisServer::with(&["--repl-diskless-sync-delay 0"])
}

impl Fleet {
    fn start(plan: &Plan) -> Self {
        let name = format!("hybridcache-histories-{}-{}", std::process::id(), plan.seed);
        let folder = std::env::temp_dir().join(name);
        // A run of this seed that broke a promise left its logs.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let story = File::create(folder.join("story")).unwrap();
        if plan.broken.is_none() {
            // Should this process be killed, nothing else tells of it.
            say(format_args!("the history of seed {} is in {}", plan.seed, folder.display()));
        }
        let mut fleet = Self {
            plan: plan.clone(),
            folder,
            database: Database::start(),
            redis: redis(),
            nodes: Vec::new(),
            lapses: Vec::new(),
            losses: Vec::new(),
            random: Random::seeded(plan.seed),
            processes: 0,
            began: Instant::now(),
            story,
            now: "the start".to_owned(),
            judged: false,
        };
        for place in 0..NODES {
            let node = fleet.launch(place);
            fleet.nodes.push(node);
        }
        fleet
    }

    fn launch(&mut self, place: u64) -> Node {
        self.processes += 1;
        let proxy = Proxy::before(self.redis.port());
        let orders = Orders {
            process: self.processes,
            place,
            redis: proxy.url(),
            database: self.database.address(),
            log: self.folder.join(self.processes.to_string()),
            seed: self.plan.seed << 16 | self.processes,
        };
        let mut command = Command::new(&self.plan.node);
        command.arg("node").args(orders.arguments());
        command.envs(self.plan.broken.map(|rule| ("HYBRIDCACHE_BREAK", rule)));
        Node { proxy, process: self.processes, running: Process::start(&mut command) }
    }

    /// A process that was killed, or is about to kill itself, comes back.
    pub(super) fn restart(&mut self, node: usize) {
        self.nodes[node].running.wait();
        self.nodes[node] = self.launch(node as u64);
    }

    /// Something is always in the air.
    fn weather(&mut self) {
        for node in &self.nodes {
            let rough = self.random.below(3) == 0;
            let delay = Duration::from_millis(if rough { self.random.below(20) } else { 0 });
            node.proxy.delay(delay / 2, delay);
        }
    }

    /// From here on this is done.
    fn begin(&mut self, what: String) {
        writeln!(self.story, "{:.1} s: {what}", self.began.elapsed().as_secs_f64()).unwrap();
        self.now = what;
    }

    fn is_alive(&mut self) {
        for node in &mut self.nodes {
            if let Some(status) = node.running.ended() {
                panic!("process {} ended, and nobody killed it: {status}", node.process);
            }
        }
    }

    /// Lets all come to rest. Returns since when it has, and who is there.
    fn settle(&mut self) -> (u64, Vec<u64>) {
        for node in &mut self.nodes {
            node.proxy.delay(Duration::ZERO, Duration::ZERO);
            node.running.order("quiet");
        }
        sleep(SETTLES);
        let settled = now();
        sleep(JUDGED);
        (settled, self.nodes.iter().map(|node| node.process).collect())
    }

    fn end(mut self, faults: BTreeMap<String, u64>) -> Report {
        self.begin("the end".to_owned());
        // With a rule broken, it is enough to see what it broke.
        let (settled, alive) = if self.plan.broken.is_some() { (u64::MAX, Vec::new()) } else { self.settle() };
        let mut counters = BTreeMap::new();
        for node in &mut self.nodes {
            node.running.order("stop");
            for word in node.running.says().split_whitespace() {
                let (name, count) = word.split_once('=').expect("a name and a count");
                *counters.entry(name.to_owned()).or_insert(0) += count.parse::<u64>().unwrap();
            }
            node.running.wait();
        }
        let logs = (1..=self.processes).map(|process| self.folder.join(process.to_string()));
        let operations: Vec<_> = logs.filter_map(|log| Log::read(&log).ok()).flatten().collect();
        let (commits, loads) = self.database.logs();
        let (lapses, losses) = (std::mem::take(&mut self.lapses), std::mem::take(&mut self.losses));
        self.begin("the judgement".to_owned());
        let history = History { operations, commits, loads, lapses, losses, settled, alive };
        let promises = Promises {
            // Its clock may run slow by 200 parts in a million.
            staleness: nanos(STALENESS_BOUND) / 5_000 * 5_001 + nanos(SLACK),
            // A fill that is on its way takes effect as long as its lease stands.
            overstay: nanos(LEASE) + nanos(SLACK),
            lifetime: |key| nanos(ttl(key)),
        };
        let judgement = judge(&history, &promises);
        let mut operations = BTreeMap::new();
        for operation in &history.operations {
            *operations.entry(format!("{:?}", operation.what)).or_default() += 1;
        }
        self.judged = true;
        // Where a rule is broken, so are promises.
        let kept = self.plan.broken.is_none() && !judgement.violations.is_empty();
        if !kept {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
        Report {
            seed: self.plan.seed,
            logs: kept.then(|| self.folder.clone()),
            reads: history.operations.iter().filter(|operation| operation.is_read()).count() as u64,
            memory: history.operations.iter().filter(|operation| operation.what == What::Memory).count() as u64,
            faults,
            counters,
            operations,
            judgement,
        }
    }
}

impl Drop for Fleet {
    /// Whatever ended it before it was judged, this says when, and where it can be read.
    fn drop(&mut self) {
        if !self.judged {
            let (seed, after) = (self.plan.seed, self.began.elapsed());
            let folder = self.folder.display();
            say(format_args!(
                "the history of seed {seed} ended {after:.1?} after its begin, in {}: {folder}",
                self.now
            ));
        }
    }
}

impl Report {
    /// What was broken.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.judgement.violations
    }

    /// Why the run proves too little, if it does.
    #[must_use]
    pub fn shortcomings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.reads < LEAST_READS {
            all.push(format!("{} reads, fewer than {LEAST_READS}", self.reads));
        }
        if self.share() < LEAST_MEMORY {
            all.push(format!("{:.0} % of them from memory", 100.0 * self.share()));
        }
        for promise in ["G0", "G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G10", "liveness"] {
            if !self.judgement.looked.contains_key(promise) {
                all.push(format!("never looked at: {promise}"));
            }
        }
        for (name, count) in self.faults.iter().chain(&self.counters) {
            if *count == 0 {
                all.push(format!("never: {name}"));
            }
        }
        let reads = ["Memory", "Redis", "Loaded", "Uncached", "Shared", "Found"];
        let writes = ["Evicted", "Cleared", "Deferred", "Put", "Guarded", "Told"];
        for what in reads.into_iter().chain(writes) {
            if !self.operations.contains_key(what) {
                all.push(format!("never: {what}"));
            }
        }
        all
    }

    fn share(&self) -> f64 {
        self.memory as f64 / self.reads.max(1) as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = |f: &mut fmt::Formatter<'_>, title: &str, counts: &BTreeMap<String, u64>| {
            write!(f, "{title}:")?;
            counts.iter().try_for_each(|(name, count)| write!(f, " {name} {count}"))?;
            writeln!(f)
        };
        writeln!(
            f,
            "seed {}: {} reads of {ALL_KEYS} keys, {:.0} % from memory",
            self.seed,
            self.reads,
            100.0 * self.share()
        )?;
        table(f, "operations", &self.operations)?;
        table(f, "faults", &self.faults)?;
        table(f, "counters", &self.counters)?;
        write!(f, "{}", self.judgement)?;
        self.logs.iter().try_for_each(|logs| write!(f, "\n  the logs are in {}", logs.display()))
    }
}
