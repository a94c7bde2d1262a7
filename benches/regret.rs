//! Hit ratios of our policies and of other crates, and how far each is behind the best of them: on recorded streams if
//! some are named, on generated ones otherwise.
//!
//! ```text
//! cargo bench -p hybridcache-benches --bench regret -- $PWD/requests.trace.xz $PWD/more.trace.xz
//! ```

mod generated;

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use foyer_memory::{CacheBuilder, EvictionConfig, LfuConfig, LruConfig, S3FifoConfig, SieveConfig};
use replays::optimum;
use replays::policies::CONTENDERS;
use replays::stream::{Source, StreamError};

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

/// A stream, each key as a number counted from 0.
struct Stream {
    name: String,
    requests: Vec<u32>,
    distinct: usize,
}

impl Stream {
    fn new<E>(name: String, keys: impl Iterator<Item = Result<u64, E>>) -> Result<Self, E> {
        let (mut numbers, mut requests) = (HashMap::new(), Vec::new());
        for key in keys {
            let next = numbers.len() as u32;
            requests.push(*numbers.entry(key?).or_insert(next));
        }
        Ok(Self { name, requests, distinct: numbers.len() })
    }

    fn recorded(path: &Path) -> Result<Self, StreamError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::new(name, Source::recorded(path.into()).keys()?)
    }

    fn generated() -> impl Iterator<Item = Self> {
        generated::all().map(|(name, keys)| {
            let Ok(stream) = Self::new(name.into(), keys.into_iter().map(Ok::<_, Infallible>));
            stream
        })
    }

    fn capacity(&self, share: usize) -> usize {
        (self.distinct * share + 500) / 1_000
    }

    /// The hit ratios in percent at this capacity: of the optimum, and of all that are compared.
    fn ratios(&self, capacity: usize, next_uses: &[u32]) -> (f64, Vec<f64>) {
        let percent = |hits: u64| 100.0 * hits as f64 / self.requests.len() as f64;
        let optimum = optimum::hits(&self.requests, next_uses, self.distinct, capacity, || true).unwrap_or(0);
        let ours = CONTENDERS.iter().map(|contender| contender.hits(&self.requests, capacity, |_| true).unwrap_or(0));
        let theirs = PEERS.iter().map(|(_, hits)| hits(&self.requests, capacity));
        (percent(optimum), ours.chain(theirs).map(percent).collect())
    }
}

fn main() -> ExitCode {
    // `cargo bench` adds a flag of its own.
    let paths: Vec<_> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    if paths.is_empty() {
        table(Stream::generated().map(Ok))
    } else {
        let named = |path: String| Stream::recorded(Path::new(&path)).map_err(|error| format!("{path}: {error}"));
        table(paths.into_iter().map(named))
    }
    .map_or_else(
        |error| {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn table(streams: impl Iterator<Item = Result<Stream, String>>) -> Result<(), String> {
    let names = || CONTENDERS.iter().map(|contender| contender.name).chain(PEERS.iter().map(|(name, _)| *name));
    let columns = CONTENDERS.len() + PEERS.len();
    println!("| stream | capacity | optimum | {} |", names().collect::<Vec<_>>().join(" | "));
    println!("|---|--:|--:|{}", "--:|".repeat(columns));
    let mut regrets = vec![Vec::new(); columns];
    for stream in streams {
        let stream = stream?;
        let next_uses = optimum::next_uses(&stream.requests, stream.distinct);
        let cells = thread::scope(|scope| {
            let (stream, next_uses) = (&stream, &next_uses);
            let replay = |share| (share, scope.spawn(move || stream.ratios(stream.capacity(share), next_uses)));
            SHARES.map(replay).map(|(share, cell)| (share, cell.join().expect("no replay panics")))
        });
        for (share, (optimum, ratios)) in cells {
            let capacity = stream.capacity(share);
            print!("| {} | {capacity} ({} %) | {optimum:.2} |", stream.name, share as f64 / 10.0);
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
