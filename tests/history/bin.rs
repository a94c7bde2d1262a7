//! The processes of the history test: `soak --minutes N --seed S` runs it for longer; `node` and `storm` are
//! its processes.

use std::time::Duration;

use hybridcache_tests::history::nemesis::Fault;
use hybridcache_tests::history::{harness, node, storm};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["node", ..] => node::run(node::Orders::read(&arguments[1..])),
        ["storm", keys, tasks, ..] => {
            let number = |word: &str| word.parse().expect("a number");
            storm::run(&node::Orders::read(&arguments[3..]), number(keys), number(tasks));
        }
        ["soak", "--minutes", minutes, "--seed", seed] => {
            let length = Duration::from_secs(60 * minutes.parse::<u64>().expect("--minutes is a number"));
            let plan = harness::Plan {
                seed: seed.parse().expect("--seed is a number"),
                length,
                faults: Fault::ALL.to_vec(),
                node: std::env::current_exe().expect("this runs"),
                broken: None,
            };
            let report = harness::run(&plan);
            println!("{report}");
            if !report.violations().is_empty() {
                std::process::exit(1);
            }
        }
        _ => {
            eprintln!("usage: histories soak --minutes N --seed S");
            std::process::exit(2);
        }
    }
}
