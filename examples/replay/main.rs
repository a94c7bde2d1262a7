//! Replays a recorded stream of requests through a cached function, and through the same function without its cache.
//!
//! ```text
//! cargo run --release --example replay                          # a generated Zipf stream
//! cargo run --release --example replay -- requests.trace.xz --capacity 2000 --ttl 5m
//! cargo run --release --example replay -- --redis redis://localhost:6379 --nodes 3
//! ```

mod catalogue;
mod measure;
mod nodes;
#[path = "../progress.rs"]
mod progress;
mod report;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Parser;
use hybridcache::{Cache, cached};
use indicatif::HumanCount;

use catalogue::{Catalogue, CatalogueError, Product};
use measure::{BoxError, interrupt, interrupts, measure};
use nodes::{Nodes, product_of_a_node};
use progress::Progress;
use replays::stream::{Source, StreamError};
use report::Report;

/// Replays a stream of requests for products, with a cache in front of the database and without it.
#[derive(Parser)]
struct Flags {
    /// The recorded stream: big-endian u32 keys (.trace, .bin) or text with one key a line (.txt), each as it is or
    /// packed (.xz, .zst); without it, a Zipf stream is generated
    path: Option<PathBuf>,
    /// How many products the cache may hold
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = capacity, allow_hyphen_values = true)]
    capacity: u64,
    /// How long a cached product lives, like 500ms or 1m30s [default: until it is displaced]
    #[arg(long, value_name = "DURATION", value_parser = ttl, allow_hyphen_values = true)]
    ttl: Option<Duration>,
    /// How many requests are under way at a time
    #[arg(long, value_name = "N", default_value_t = 8, allow_hyphen_values = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// A Redis server, redis://localhost:6379 say: the stream goes through several nodes with a hybrid cache each
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// How many nodes; each holds as much in memory as `--capacity` says
    #[arg(long, value_name = "N", default_value_t = 3, requires = "redis")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
}

fn capacity(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("a cache that holds nothing would never hit".into()),
        Ok(capacity) => Ok(capacity),
        Err(_) => Err("write it as a whole number, 1 or more".into()),
    }
}

fn ttl(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err("a lifetime cannot be negative".into());
    }
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("with no lifetime nothing would ever hit".into()),
        Ok(ttl) => Ok(ttl),
        Err(error) => Err(format!("{error}; write it like 500ms, 5s or 1m30s")),
    }
}

/// What the cached function works on. The flags are known at run time only, so the cache is built from them and the
/// attribute refers to it.
struct Shop {
    catalogue: Catalogue,
    products: Cache<u32, Arc<Product>>,
    nodes: Option<Nodes>,
}

static SHOP: OnceLock<Shop> = OnceLock::new();

fn shop() -> &'static Shop {
    SHOP.get().expect("main opens the shop before the first request")
}

/// One product: memory on a hit, a query on a miss.
#[cached(cache = shop().products)]
async fn product(id: u32) -> Result<Arc<Product>, CatalogueError> {
    shop().catalogue.find(id).await.map(Arc::new)
}

/// Enough requests to the bare database for a steady p99.
const SAMPLE: u64 = 20_000;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<(), BoxError> {
    ctrlc::set_handler(interrupt)?;
    let source = match flags.path {
        Some(path) => Source::recorded(path),
        None => Source::Zipf { requests: 500_000, products: 50_000, exponent: 0.99 },
    };
    let products = match flags.ttl {
        Some(ttl) => Cache::builder("products").ttl(ttl),
        None => Cache::builder("products"),
    };
    let products = products.capacity(flags.capacity).build()?;
    let nodes = match &flags.redis {
        Some(redis) => Some(Nodes::connect(redis, flags.nodes, flags.capacity, flags.ttl).await?),
        None => None,
    };

    // Removed again when this function ends, however it ends.
    let folder = tempfile::Builder::new().prefix("replay-").tempdir()?;
    let place = folder.path().to_path_buf();
    let (source, requests, catalogue) = tokio::task::spawn_blocking(move || prepare(source, place)).await??;
    SHOP.get_or_init(|| Shop { catalogue, products, nodes });

    let report = compare(&source, requests, flags.concurrency).await;
    shop().catalogue.close();
    if let Some(nodes) = &shop().nodes {
        nodes.shutdown().await;
    }
    // Not `println!`, which panics when whoever reads the output has gone away.
    writeln!(io::stdout(), "{}", report?)?;
    Ok(())
}

/// Reads the stream once, to count its requests and to stock the catalogue with what they ask for.
fn prepare(source: Source, folder: PathBuf) -> Result<(Source, u64, Catalogue), BoxError> {
    let named = |error: StreamError| format!("{source}: {error}");
    let go_on = || if interrupts() == 0 { Ok(()) } else { Err("stopped before the first request") };
    let (mut requests, mut ids) = (0, BTreeSet::new());
    let progress = Progress::new(0, "requests read");
    for id in source.small_keys().map_err(named)? {
        ids.insert(id.map_err(named)?);
        requests += 1;
        if requests % 4_096 == 0 {
            progress.add(4_096);
            go_on()?;
        }
    }
    drop(progress);
    if requests == 0 {
        return Err(named(StreamError::Empty).into());
    }
    eprintln!("{source}: {} requests for {} products", HumanCount(requests), HumanCount(ids.len() as u64));
    let progress = Progress::new(ids.len() as u64, "products stocked");
    let stock = ids.into_iter().inspect(|_| progress.add(1)).take_while(|_| go_on().is_ok());
    let catalogue = Catalogue::create(&folder, stock)?;
    drop(progress);
    go_on()?;
    Ok((source, requests, catalogue))
}

/// The whole stream through the cache, then a sample of what was replayed without it.
async fn compare(source: &Source, requests: u64, concurrency: u16) -> Result<Report, BoxError> {
    let (cached, stats) = match &shop().nodes {
        Some(nodes) => (measure(source.small_keys()?, requests, concurrency, product_of_a_node).await?, nodes.stats()),
        None => (measure(source.small_keys()?, requests, concurrency, product).await?, vec![product::stats()]),
    };
    let queries = shop().catalogue.queries();

    let stride = cached.requests.div_ceil(SAMPLE).max(1);
    let sample = source.small_keys()?.take(cached.requests as usize).step_by(stride as usize);
    let uncached = measure(Box::new(sample), cached.requests.div_ceil(stride), concurrency, product::uncached).await?;
    Ok(Report { stopped: cached.requests < requests, cached, uncached, stats, queries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_ends_the_stocking_of_the_catalogue() {
        let folder = tempfile::tempdir().unwrap();
        let (database, place) = (folder.path().join("catalogue.sqlite"), folder.path().to_path_buf());
        let source = Source::Zipf { requests: 300_000, products: 1_000_000, exponent: 0.0 };
        let stocking = std::thread::spawn(move || prepare(source, place));
        while !database.exists() && !stocking.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        interrupt();
        let stopped = stocking.join().unwrap().err().map(|error| error.to_string());
        assert_eq!(stopped.as_deref(), Some("stopped before the first request"));
    }
}
