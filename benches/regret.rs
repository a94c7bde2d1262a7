//! Hit ratios of our policies and of other crates on recorded streams, and how far each is behind the best of them.
//!
//! ```text
//! cargo bench -p hybridcache-benches --bench regret -- requests.trace.xz more.trace.xz
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use foyer_memory::{CacheBuilder, EvictionConfig, LfuConfig, LruConfig, S3FifoConfig, SieveConfig};
use replays::optimum;
use replays::policies::CONTENDERS;
use replays::stream::Source;

/// Capacities, in thousandths of the distinct keys.
const SHARES: [usize; 5] = [5, 10, 50, 100, 250];

/// How many of the requests hit with this capacity.
type Hits = fn(&[u32], usize) -> u64;

/// Other crates, each as one thread uses it best: no shards where there is a choice, and no maintenance left undone.
const PEERS: [(&str, Hits); 6] = [
    ("quick_cache", |requests, capacity| {
        let mut cache = quick_cache::unsync::Cache::new(capacity);
        count(requests, |key| {
            cache.get(&key).is_some() || {
                cache.insert(key, ());
                false
            }
        })
    }),
    ("moka", |requests, capacity| {
        let cache = moka::sync::Cache::new(capacity as u64);
        let mut since = 0;
        count(requests, |key| {
            since += 1;
            if since % 64 == 0 {
                cache.run_pending_tasks();
            }
            cache.get(&key).is_some() || {
                cache.insert(key, ());
                false
            }
        })
    }),
    ("foyer LRU", |requests, capacity| foyer(requests, capacity, LruConfig::default())),
    ("foyer LFU", |requests, capacity| foyer(requests, capacity, LfuConfig::default())),
    ("foyer S3-FIFO", |requests, capacity| foyer(requests, capacity, S3FifoConfig::default())),
    ("foyer Sieve", |requests, capacity| foyer(requests, capacity, SieveConfig)),
];

fn foyer(requests: &[u32], capacity: usize, policy: impl Into<EvictionConfig>) -> u64 {
    let builder = CacheBuilder::new(capacity).with_shards(1).with_eviction_config(policy);
    let cache: foyer_memory::Cache<u32, ()> = builder.build();
    count(requests, |key| {
        cache.get(&key).is_some() || {
            cache.insert(key, ());
            false
        }
    })
}

fn count(requests: &[u32], mut request: impl FnMut(u32) -> bool) -> u64 {
    requests.iter().filter(|key| request(**key)).count() as u64
}

fn main() -> ExitCode {
    // `cargo bench` adds a flag of its own.
    let paths: Vec<_> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    if paths.is_empty() {
        println!("name recorded streams: cargo bench -p hybridcache-benches --bench regret -- requests.trace.xz");
        return ExitCode::SUCCESS;
    }
    match table(&paths) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn table(paths: &[String]) -> Result<(), Box<dyn Error>> {
    let names = || CONTENDERS.iter().map(|contender| contender.name).chain(PEERS.iter().map(|(name, _)| *name));
    let columns = CONTENDERS.len() + PEERS.len();
    println!("| stream | capacity | optimum | {} |", names().collect::<Vec<_>>().join(" | "));
    println!("|---|--:|--:|{}", "--:|".repeat(columns));
    let mut regrets = vec![Vec::new(); columns];
    for path in paths {
        let (requests, distinct) = read(path).map_err(|error| format!("{path}: {error}"))?;
        let next_uses = optimum::next_uses(&requests, distinct);
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        for share in SHARES {
            let capacity = (distinct * share + 500) / 1_000;
            let percent = |hits: u64| 100.0 * hits as f64 / requests.len() as f64;
            let optimum = optimum::hits(&requests, &next_uses, distinct, capacity, || true).unwrap_or(0);
            let ours = CONTENDERS.iter().map(|contender| contender.hits(&requests, capacity, || true).unwrap_or(0));
            let theirs = PEERS.iter().map(|(_, hits)| hits(&requests, capacity));
            let ratios: Vec<_> = ours.chain(theirs).map(percent).collect();
            print!("| {name} | {capacity} ({} %) | {:.2} |", share as f64 / 10.0, percent(optimum));
            for ratio in &ratios {
                print!(" {ratio:.2} |");
            }
            println!();
            for (column, regrets) in regrets.iter_mut().enumerate() {
                let others = ratios.iter().enumerate().filter(|(other, _)| *other != column);
                let best = others.map(|(_, ratio)| *ratio).fold(0.0, f64::max);
                regrets.push(best - ratios[column]);
            }
        }
    }
    println!("\nBehind the best of the others, in percentage points (negative: ahead of them all)\n");
    println!("| policy | mean | worst | cells within 1.0 |\n|---|--:|--:|--:|");
    for (name, regrets) in names().zip(&regrets) {
        let mean = regrets.iter().sum::<f64>() / regrets.len() as f64;
        let worst = regrets.iter().copied().fold(f64::MIN, f64::max);
        let near = regrets.iter().filter(|regret| **regret <= 1.0).count();
        println!("| {name} | {mean:.2} | {worst:.2} | {near} of {} |", regrets.len());
    }
    Ok(())
}

/// The requests, each key as a number counted from 0, and how many keys there are.
fn read(path: &str) -> Result<(Vec<u32>, usize), Box<dyn Error>> {
    let mut numbers = HashMap::new();
    let mut requests = Vec::new();
    for key in Source::recorded(path.into()).keys()? {
        let next = numbers.len() as u32;
        requests.push(*numbers.entry(key?).or_insert(next));
    }
    Ok((requests, numbers.len()))
}
