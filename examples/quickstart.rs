//! A miss, a hit, an evict: `cargo run -p quickstart --example quickstart`.

use std::time::{Duration, Instant};

use hybridcache::cached;

/// Something slow, worth remembering for a minute.
#[cached(ttl = "60s")]
async fn greeting(name: &str) -> String {
    tokio::time::sleep(Duration::from_millis(100)).await;
    format!("Hello, {name}!")
}

async fn greet(expected: &str) {
    let start = Instant::now();
    let greeting = greeting("Ferris").await;
    println!("{expected:<10}{greeting}  {:>12.2?}", start.elapsed());
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), hybridcache::Error> {
    greet("a miss").await;
    greet("a hit").await;
    greet("a hit").await;

    greeting::evict("Ferris").await?;
    println!("evicted, so the next one is");
    greet("a miss").await;

    let stats = greeting::stats();
    println!("{} hits, {} loads: {:.0} % of the calls were hits", stats.hits, stats.loads, 100.0 * stats.hit_ratio());
    Ok(())
}
