//! A storm: callers in several processes who all want, at once, what nobody has.

use std::io::BufRead;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Share, SingleFlight};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::sync::Barrier;

use super::database::{Client, Database};
use super::node::{Orders, what};
use super::operation::{Log, Operation};
use super::process::Process;
use super::{NODES, now};
use crate::redis_server::RedisServer;
use crate::{LIMIT, MINUTE};

/// What everybody read, and how often the database was asked.
#[derive(Debug)]
pub struct Storm {
    /// One of each task.
    pub reads: Vec<Operation>,
    /// Of the database.
    pub loads: usize,
}

/// Has as many processes as a fleet has, each with so many tasks, ask for so many cold keys, each of them slow to load. `program` is
/// the one that has the subcommand `storm`.
///
/// # Panics
///
/// If a process fails.
#[must_use]
pub fn storm(program: &Path, keys: u64, tasks: u64) -> Storm {
    let (redis, database) = (RedisServer::start(), Database::start());
    let log = |process| std::env::temp_dir().join(format!("hybridcache-storm-{}-{keys}-{process}", std::process::id()));
    let start = |process| {
        let _ = std::fs::remove_file(log(process));
        let (redis, database) = (redis.url(), database.address());
        let orders = Orders { process, place: process, redis, database, log: log(process), seed: 1 };
        let arguments = ["storm".to_owned(), keys.to_string(), tasks.to_string()];
        Process::start(Command::new(program).args(arguments).args(orders.arguments()))
    };
    let mut processes: Vec<_> = (1..=NODES).map(start).collect();
    processes.iter_mut().for_each(|process| process.order("go"));
    processes.iter_mut().for_each(|process| assert_eq!(process.says(), "done"));
    let mut reads = Vec::new();
    for process in 1..=NODES {
        reads.append(&mut Log::read(&log(process)).unwrap());
        std::fs::remove_file(log(process)).unwrap();
    }
    Storm { reads, loads: database.logs().1.len() }
}

/// One process: its tasks start when it is told to go.
///
/// # Panics
///
/// If it cannot start.
pub fn run(orders: &Orders, keys: u64, tasks: u64) {
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let manager = CacheManager::builder().namespace("storm").redis(&orders.redis).build().await.unwrap();
        let cache = Cache::builder("storm").ttl(MINUTE).hybrid(MsgPack).single_flight(SingleFlight::Fleet);
        let cache: Cache<u64, (u64, u64)> = cache.wait_timeout(LIMIT).manager(&manager).build().unwrap();
        let log = Arc::new(Log::create(&orders.log).unwrap());
        let go = Arc::new(Barrier::new(tasks as usize + 1));
        let task = |task: u64| {
            let (cache, log, go, orders) = (cache.clone(), Arc::clone(&log), Arc::clone(&go), orders.clone());
            async move {
                // One in four of the database's keys is slow, one very.
                let key = if keys == 1 { 15 } else { 3 + 4 * (task % keys) };
                go.wait().await;
                let start = now();
                let load = |_| async {
                    let loaded_at = now();
                    (Client::new(orders.database).load(key, orders.process << 32 | task).await.unwrap(), loaded_at)
                };
                let fetched = cache.fetch(&key).load(Share::none(), load).await;
                let (version, loaded_at) = fetched.result;
                let (process, what) = (orders.process, what(&fetched));
                log.append(&Operation { process, what, key, start, end: now(), version, load: 0, loaded_at });
            }
        };
        let tasks: Vec<_> = (0..tasks).map(task).map(tokio::spawn).collect();
        println!("ready");
        tokio::task::block_in_place(|| std::io::stdin().lock().read_line(&mut String::new())).unwrap();
        go.wait().await;
        for task in tasks {
            task.await.unwrap();
        }
        println!("done");
        manager.shutdown().await;
    });
}
