//! The nodes, the server, and the lines between them, as the parent process has them.

use std::collections::VecDeque;
use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::UnboundedSender;

use crate::database::{Database, ROWS, name};
use crate::line::{Cut, Line};
use crate::node::{Outcome, Report, Said, now};
use crate::redis_server::RedisServer;
use crate::script::Step;

pub(crate) const NODES: usize = 3;
/// No node may answer with what was evicted longer ago than this.
pub(crate) const BOUND: Duration = Duration::from_secs(2);
const REMEMBERED: usize = 200;

/// Which node said something, and what; a line that is no report is one about trouble.
pub(crate) type Heard = (usize, Result<Said, String>);

pub(crate) struct Fleet {
    pub(crate) nodes: Vec<Node>,
    /// The newest version of each row.
    pub(crate) newest: [u64; ROWS],
    /// What happened, with the time since the start; the newest last.
    pub(crate) log: VecDeque<(Duration, String)>,
    database: Database,
    redis: Option<RedisServer>,
    redis_port: u16,
    /// Of each row, the versions whose evict was acknowledged, and when that was heard.
    acknowledged: [Vec<(u64, Duration)>; ROWS],
    began: Instant,
    _folder: TempDir,
}

/// A process. It is ended by its number when this is dropped.
pub(crate) struct Node {
    pub(crate) line: Line,
    pub(crate) paused: bool,
    /// By itself, or by somebody else.
    pub(crate) ended: bool,
    pub(crate) report: Report,
    /// How long after the acknowledgement of a newer version an older one was still served, at worst.
    pub(crate) worst: Duration,
    process: Child,
    orders: ChildStdin,
}

impl Fleet {
    pub(crate) async fn start(heard: &UnboundedSender<Heard>) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let database = Database::create(folder.path())?;
        let redis = RedisServer::start()?;
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let line = Line::to(redis.port).await?;
            let mut process = Command::new(std::env::current_exe()?)
                .args(["node", &format!("redis://127.0.0.1:{}", line.port)])
                .arg(folder.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                // Of a group of its own: Ctrl-C is for the parent to hear.
                .process_group(0)
                .kill_on_drop(true)
                .spawn()?;
            let (Some(orders), Some(said), Some(trouble)) =
                (process.stdin.take(), process.stdout.take(), process.stderr.take())
            else {
                unreachable!("they are piped")
            };
            let parse = |line: String| serde_json::from_str(&line).map_err(|_| line);
            tokio::spawn(listen(number, said, heard.clone(), parse, Some(Said::Ended)));
            tokio::spawn(listen(number, trouble, heard.clone(), Err, None));
            let (report, worst) = (Report::default(), Duration::ZERO);
            nodes.push(Node { line, paused: false, ended: false, report, worst, process, orders });
        }
        Ok(Self {
            nodes,
            newest: [1; ROWS],
            log: VecDeque::new(),
            database,
            redis_port: redis.port,
            redis: Some(redis),
            acknowledged: Default::default(),
            began: Instant::now(),
            _folder: folder,
        })
    }

    /// Does what a key or a script says.
    pub(crate) async fn act(&mut self, step: Step) -> io::Result<()> {
        let order = |verb, node: usize, row| (node, format!("{verb} {} {}\n", node + 1, name(row)));
        let (node, order) = match step {
            Step::Write(node, row) => order("write", node, row),
            Step::Evict(node, row) => order("evict", node, row),
            Step::Cut(node) => return self.cut(node, Cut::Bus, "its bus is cut"),
            Step::Unplug(node) => return self.cut(node, Cut::Everything, "Redis is out of its reach"),
            Step::Mend(node) => return self.cut(node, Cut::Nothing, "its lines are whole again"),
            Step::Pause(node) => return self.signal(node, Signal::STOP, "is stopped"),
            Step::Resume(node) => return self.signal(node, Signal::CONT, "goes on"),
            Step::Restart => return self.restart(),
            Step::Wait(_) => return Ok(()),
        };
        if self.nodes[node].orders.write_all(order.as_bytes()).await.is_err() {
            self.note(format!("node {} takes no orders any more", node + 1));
        }
        Ok(())
    }

    /// Takes in what a node said.
    pub(crate) fn hear(&mut self, (number, said): Heard) -> io::Result<()> {
        for row in 0..ROWS {
            self.newest[row] = self.database.version(row)?;
        }
        match said {
            Ok(Said::Report(report)) => {
                let worst = self.lag(&report);
                let node = &mut self.nodes[number];
                node.worst = node.worst.max(worst);
                node.report = *report;
            }
            Ok(Said::Done { row, committed, outcome, took }) => {
                if let (Some(version), Outcome::Acknowledged) = (committed, &outcome) {
                    self.acknowledged[row].push((version, now()));
                }
                let did = committed.map_or("evicted".to_owned(), |version| format!("wrote version {version} of"));
                let outcome = match outcome {
                    Outcome::Acknowledged => "acknowledged".to_owned(),
                    Outcome::Deferred => "deferred: sent when Redis is there again".to_owned(),
                    Outcome::Failed(why) => why,
                };
                self.note(format!("node {} {did} {}: {outcome} ({took:.1?})", number + 1, name(row)));
            }
            Ok(Said::Ended) => {
                self.nodes[number].ended = true;
                self.note(format!("node {} has ended", number + 1));
            }
            Err(trouble) => self.note(format!("node {}: {trouble}", number + 1)),
        }
        Ok(())
    }

    /// Whether the last that a node has served of a row is older than the newest version.
    pub(crate) fn is_behind(&self, node: &Node) -> bool {
        node.report.rows.iter().zip(&self.newest).any(|(served, newest)| (1..*newest).contains(&served.version))
    }

    /// Ends every process that was started.
    pub(crate) async fn end(mut self) {
        for node in &mut self.nodes {
            // Also ends one that is stopped.
            let _ = node.process.kill().await;
        }
    }

    /// For how long a report shows something older as served than had been acknowledged when its read began.
    fn lag(&self, report: &Report) -> Duration {
        let mut worst = Duration::ZERO;
        for (served, acknowledged) in report.rows.iter().zip(&self.acknowledged) {
            for (version, began) in [(served.version, served.began), served.before] {
                let newer = acknowledged.iter().filter(|(newer, _)| *newer > version).map(|(_, at)| *at).min();
                worst = worst.max(newer.map_or(Duration::ZERO, |at| began.saturating_sub(at)));
            }
        }
        worst
    }

    fn cut(&mut self, node: usize, cut: Cut, what: &str) -> io::Result<()> {
        self.nodes[node].line.cut(cut);
        self.note(format!("node {}: {what}", node + 1));
        Ok(())
    }

    fn signal(&mut self, number: usize, signal: Signal, what: &str) -> io::Result<()> {
        let node = &mut self.nodes[number];
        let pid = node.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(pid.ok_or_else(|| io::Error::other("the node has ended"))?, signal)?;
        node.paused = signal == Signal::STOP;
        self.note(format!("node {} {what}", number + 1));
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.redis = None;
        self.redis = Some(RedisServer::start_on(self.redis_port)?);
        self.note("Redis was killed, and is up again with nothing in it".to_owned());
        Ok(())
    }

    fn note(&mut self, what: String) {
        self.log.push_back((self.began.elapsed(), what));
        if self.log.len() > REMEMBERED {
            self.log.pop_front();
        }
    }
}

/// Hands on, line by line, what a process says, until it ends; and then the last word.
async fn listen(
    number: usize,
    from: impl AsyncRead + Unpin,
    heard: UnboundedSender<Heard>,
    parse: impl Fn(String) -> Result<Said, String>,
    last: Option<Said>,
) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if heard.send((number, parse(line))).is_err() {
            return;
        }
    }
    if let Some(last) = last {
        let _ = heard.send((number, Ok(last)));
    }
}
