//! Two processes' worth of caches over one Redis, its own or that of `--redis URL`: `cargo run --release --example hybrid`.

mod redis_server;

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Parser;
use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Share};
use redis_server::{RedisServer, told_to_end};

/// Two managers over one Redis: a load, a hit there, a hit in memory, and writes that both see.
#[derive(Parser)]
struct Args {
    /// A server that runs already, by its URL: redis://localhost:6379
    #[arg(long)]
    redis: Option<String>,
}

/// The source: a slow database with one row, the price of the anvil.
static PRICE: AtomicU32 = AtomicU32::new(100);

struct Node(&'static str, CacheManager, Cache<String, u32>);

impl Node {
    async fn start(name: &'static str, url: &str) -> Result<Self, hybridcache::Error> {
        let manager = CacheManager::builder().namespace("hybrid-example").redis(url).build().await?;
        let prices = Cache::builder("prices").ttl(Duration::from_secs(60)).hybrid(MsgPack);
        let prices = prices.manager(&manager).build()?;
        // Memory answers once the manager has asked where the others stand: a matter of milliseconds.
        while !manager.remote_health().is_some_and(|health| health.in_step) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Self(name, manager, prices))
    }

    /// Reads until the answer is the awaited one, and says how long that one took.
    async fn price(&self, awaited: u32) {
        let Self(name, _, prices) = self;
        for older in 0.. {
            let began = Instant::now();
            let load = |_| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                PRICE.load(Relaxed)
            };
            let fetched = prices.fetch("anvil").load(Share::none(), load).await;
            if fetched.result == awaited {
                let (from, took) = (format!("{:?}", fetched.tier), began.elapsed());
                return println!("{name} reads {awaited} from {from:<6} in {took:>9.1?}, after {older} older answers");
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn show(url: &str) -> Result<(), Box<dyn Error>> {
    let (a, b) = (Node::start("A", url).await?, Node::start("B", url).await?);
    a.2.evict("anvil").await?; // it may be there from the last time
    a.price(100).await; // a load: the lease, the body, the fill
    b.price(100).await; // found in Redis: what A has loaded
    b.price(100).await; // found in memory: nobody is asked

    PRICE.store(120, Relaxed); // the commit; and after it the evict
    println!("A evicts: {:?}; B hears of it by the bus", a.2.evict("anvil").await?);
    b.price(120).await;

    let write = a.2.write("anvil").await?;
    PRICE.store(130, Relaxed);
    write.put(130).await?;
    println!("A puts 130 in, under a write lease; nobody has to load it");
    b.price(130).await;
    b.price(130).await;
    a.1.shutdown().await;
    b.1.shutdown().await;
    Ok(())
}

async fn run(redis: Option<String>) -> Result<(), Box<dyn Error>> {
    let told = told_to_end()?;
    let server = if redis.is_none() { Some(RedisServer::start()?) } else { None };
    let port = server.as_ref().map_or(0, |server| server.port);
    let url = redis.unwrap_or_else(|| format!("redis://127.0.0.1:{port}"));
    tokio::select! {
        shown = show(&url) => shown,
        () = told => Ok(()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = run(Args::parse().redis).await {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
