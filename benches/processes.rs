//! What a comparison is run by: its options, and the processes that share it.

use std::env;
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::pairs::{self, Effort, Measured, Row};

/// How many processes share the measurement, one after the other.
const PROCESSES: usize = 3;

/// Measures the rows that the command line asks for, and prints their table.
///
/// # Errors
///
/// An unknown option, or a process that fails.
pub fn compare(rows: Vec<Row>) -> Result<(), Box<dyn Error>> {
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
        (true, false) => Effort { rounds: 31, part: Duration::from_millis(3) },
        (true, true) => Effort { rounds: 9, part: Duration::from_millis(1) },
        // `cargo test` runs benches too, to see whether they run.
        (false, _) => Effort { rounds: 1, part: Duration::from_micros(10) },
    };
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.name.contains(&filter)).collect();
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
