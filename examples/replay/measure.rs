//! Sends a stream of requests and times each of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use replays::stream::Keys;
use tokio::task::JoinSet;

use crate::catalogue::{CatalogueError, Product};
use crate::progress::Progress;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How often Ctrl-C was pressed. Each press ends the run that is under way, not the program: the summary still comes, and
/// the database goes.
static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn interrupts() -> usize {
    INTERRUPTS.load(Ordering::Relaxed)
}

pub(crate) fn interrupt() {
    INTERRUPTS.fetch_add(1, Ordering::Relaxed);
}

/// What was measured over a run of requests.
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    /// Nanoseconds of each request.
    pub(crate) latency: Histogram<u64>,
}

/// Lets `concurrency` clients share the keys of a stream, and times what each of them `ask`s for.
pub(crate) async fn measure<F, A>(
    keys: Keys<u32>,
    expected: u64,
    concurrency: u16,
    ask: F,
) -> Result<Measured, BoxError>
where
    F: Fn(u32) -> A + Copy + Send + 'static,
    A: Future<Output = Result<Arc<Product>, CatalogueError>> + Send + 'static,
{
    let progress = Arc::new(Progress::new(expected, "requests"));
    let keys = Arc::new(Mutex::new(keys));
    let mut measured = Measured { requests: 0, bytes: 0, elapsed: Duration::ZERO, latency: Histogram::new(3)? };
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..concurrency {
        clients.spawn(client(Arc::clone(&keys), Arc::clone(&progress), interrupts(), ask));
    }
    while let Some(client) = clients.join_next().await {
        let (latency, bytes) = client??;
        measured.requests += latency.len();
        measured.bytes += bytes;
        measured.latency.add(latency)?;
    }
    measured.elapsed = started.elapsed();
    Ok(measured)
}

/// Asks for one product after the other until the stream ends or somebody presses Ctrl-C once more.
async fn client<F, A>(
    keys: Arc<Mutex<Keys<u32>>>,
    progress: Arc<Progress>,
    interrupts_before: usize,
    ask: F,
) -> Result<(Histogram<u64>, u64), BoxError>
where
    F: Fn(u32) -> A,
    A: Future<Output = Result<Arc<Product>, CatalogueError>>,
{
    let (mut latency, mut bytes) = (Histogram::new(3)?, 0);
    while interrupts() == interrupts_before {
        let next = keys.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(id) = next.transpose()? else { break };
        let asked = Instant::now();
        let product = ask(id).await?;
        latency.record(asked.elapsed().as_nanos() as u64)?;
        if product.id != id {
            return Err(format!("asked for product {id}, got product {}", product.id).into());
        }
        bytes += product.page.len() as u64;
        // A run of hits never waits for anything, so it makes room for the other clients by itself.
        if latency.len() % 256 == 0 {
            progress.add(256);
            tokio::task::yield_now().await;
        }
    }
    Ok((latency, bytes))
}
