//! Ours against quick_cache by hand, and against the peers: `cargo bench -p hybridcache-benches --bench compare`.
//!
//! `--quick` measures less, `--filter TEXT` only the rows whose name contains the text.

mod peers;

use std::env;
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Duration;

use hybridcache_benches::cases::{
    ASYNC, BATCH, COMPOSITE_HIT, NAMED, PLAIN, QUICK, QUICK_COMPOSITE_HIT, SLIDING_HIT, Subject,
};
use hybridcache_benches::pairs::{self, Effort, Measured, Row};
use hybridcache_benches::work::Work;

type Side = fn(u64) -> Work;

/// How many processes share the measurement, one after the other.
const PROCESSES: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut filter = String::new();
    let (mut is_bench, mut is_quick, mut is_child) = (false, false, false);
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match &*arg {
            // What cargo itself says to a bench.
            "--bench" => is_bench = true,
            "--quick" => is_quick = true,
            "--filter" => filter = args.next().ok_or("--filter needs a text")?,
            "--child" => is_child = true,
            other => return Err(format!("unknown option `{other}`; there are --quick and --filter TEXT").into()),
        }
    }
    let effort = match (is_bench, is_quick) {
        (true, false) => Effort { rounds: 31, half: Duration::from_millis(3) },
        (true, true) => Effort { rounds: 9, half: Duration::from_millis(1) },
        // `cargo test` runs benches too, to see whether they run.
        (false, _) => Effort { rounds: 1, half: Duration::from_micros(10) },
    };
    let rows: Vec<Row> = rows().into_iter().filter(|row| row.name.contains(&filter)).collect();
    if is_child {
        for (i, row) in rows.iter().enumerate() {
            row.measure(effort).iter().for_each(|(ours, theirs)| println!("{i} {ours} {theirs}"));
        }
        return Ok(());
    }
    let mut measured: Vec<Measured> =
        rows.iter().map(|row| Measured { name: row.name.clone(), bar: row.bar, pairs: Vec::new() }).collect();
    for process in 1..=PROCESSES {
        eprintln!("process {process} of {PROCESSES} measures {} rows", rows.len());
        let child = Command::new(env::current_exe()?)
            .args(env::args().skip(1))
            .arg("--child")
            .stderr(Stdio::inherit())
            .output()?;
        if !child.status.success() {
            return Err(format!("process {process} ended with {}", child.status).into());
        }
        for line in String::from_utf8(child.stdout)?.lines() {
            let mut numbers = line.split(' ');
            let mut next = || numbers.next().ok_or("a child says three numbers a line");
            let (row, ours, theirs) = (next()?.parse::<usize>()?, next()?.parse()?, next()?.parse()?);
            measured[row].pairs.push((ours, theirs));
        }
    }
    println!("{}", pairs::table(&measured));
    Ok(())
}

fn rows() -> Vec<Row> {
    let by_hand: [(&str, u64, Side, Side, Option<f64>); 8] = [
        ("hit", 1, PLAIN.hit, QUICK.hit, Some(1.25)),
        ("hit, key `(&str, u64)`", 1, COMPOSITE_HIT, QUICK_COMPOSITE_HIT, Some(1.3)),
        ("async hit", 1, ASYNC.hit, QUICK.hit, Some(1.5)),
        ("sliding hit", 1, SLIDING_HIT, QUICK.hit, Some(1.9)),
        ("hit", 2, PLAIN.hit, QUICK.hit, Some(1.18)),
        ("async miss", 1, ASYNC.miss, QUICK.miss, Some(3.0)),
        ("put", 1, PLAIN.put, QUICK.put, None),
        ("evict", 1, PLAIN.evict, QUICK.evict, None),
    ];
    let mut rows: Vec<Row> = by_hand
        .into_iter()
        .map(|(what, threads, ours, peer, bar)| row(what, "quick_cache by hand", threads, ours, peer, bar))
        .collect();
    let peers: [(&str, Subject, Subject); 5] = [
        ("cached `#[cached]`", PLAIN, peers::CACHED),
        ("cached `#[concurrent_cached]`", PLAIN, peers::CONCURRENT_CACHED),
        ("moka sync", PLAIN, peers::MOKA),
        ("moka future", ASYNC, peers::MOKA_FUTURE),
        ("amalgam", NAMED, peers::AMALGAM),
    ];
    for (peer, ours, theirs) in peers {
        for threads in [1, 2] {
            for (what, ours, theirs) in [
                ("hit", ours.hit, theirs.hit),
                ("miss", ours.miss, theirs.miss),
                ("put", ours.put, theirs.put),
                ("evict", ours.evict, theirs.evict),
            ] {
                rows.push(row(what, peer, threads, ours, theirs, Some(1.0)));
            }
            if peer == "cached `#[cached]`" {
                // What it promises then is what we promise always. Puts and evicts are the same.
                let peer = "cached, `sync_writes = \"by_key\"`";
                rows.push(row("hit", peer, threads, ours.hit, peers::CACHED_BY_KEY_HIT, Some(1.0)));
                rows.push(row("miss", peer, threads, ours.miss, peers::CACHED_BY_KEY_MISS, Some(1.0)));
            }
        }
    }
    rows
}

fn row(what: &str, peer: &str, threads: u64, ours: Side, theirs: Side, bar: Option<f64>) -> Row {
    let threads_too = if threads == 1 { String::new() } else { format!(", {threads} threads") };
    let most = if what == "evict" { BATCH } else { u64::MAX };
    Row { name: format!("{what}{threads_too} – {peer}"), threads, ours, peer: theirs, bar, most }
}
