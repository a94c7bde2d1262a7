//! What the tests share: bodies that are counted and held, waits that end, and a seeded generator.

pub mod history;
pub mod proxy;
pub mod redis_server;
pub mod ticks;

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Scope, ScopedJoinHandle, Thread};
use std::time::{Duration, Instant};

use hybridcache::{Cache, Policy};

/// The longest any test waits for something that has to happen: then it fails instead of hanging.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A second.
pub const SECOND: Duration = Duration::from_secs(1);

/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);

/// The least a clock can move.
pub const INSTANT: Duration = Duration::from_nanos(1);

/// All there are.
pub const POLICIES: [Policy; 7] =
    [Policy::S3Fifo, Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Mru, Policy::Clock, Policy::Adaptive];

/// Says something past the test runner, which shows what tests print only when they fail.
pub fn say(what: impl std::fmt::Display) {
    use std::io::Write;

    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Counts how often a body ran. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Runs(Arc<AtomicUsize>);

impl Runs {
    /// The body runs: returns which run this is, from 1 on.
    pub fn run(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) as u64 + 1
    }

    /// How often it ran.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst) as u64
    }
}

/// Holds whoever comes until it is opened, on any executor or none. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<Held>, Condvar)>);

#[derive(Debug, Default)]
struct Held {
    open: bool,
    arrived: usize,
    wakers: Vec<Waker>,
}

impl Gate {
    /// Lets everybody pass, those too who come later.
    pub fn open(&self) {
        let wakers = {
            let mut held = self.0.0.lock().unwrap();
            held.open = true;
            std::mem::take(&mut held.wakers)
        };
        self.0.1.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many have come so far.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.0.0.lock().unwrap().arrived
    }

    /// Arrives, and passes once the gate is open.
    pub async fn pass(&self) {
        self.0.0.lock().unwrap().arrived += 1;
        std::future::poll_fn(|cx| {
            let mut held = self.0.0.lock().unwrap();
            if held.open {
                return Poll::Ready(());
            }
            held.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// A body that is held, and returns this.
    pub async fn then<T>(&self, value: T) -> T {
        self.pass().await;
        value
    }

    /// [`then`](Self::then) that holds the thread.
    pub fn then_blocking<T>(&self, value: T) -> T {
        self.pass_blocking();
        value
    }

    /// [`pass`](Self::pass) that holds the thread.
    pub fn pass_blocking(&self) {
        let mut held = self.0.0.lock().unwrap();
        held.arrived += 1;
        while !held.open {
            held = self.0.1.wait(held).unwrap();
        }
    }
}

/// Waits until something is so, letting other tasks of the executor run; fails after [`LIMIT`].
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < LIMIT, "waited too long until {what}");
        tokio::task::yield_now().await;
        leave_it_to_others(start);
    }
}

/// [`until`] that holds the thread.
pub fn until_blocking(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < LIMIT, "waited too long until {what}");
        thread::yield_now();
        leave_it_to_others(start);
    }
}

/// What does not come at once has a processor to come on: a busy machine has none for those who only look.
fn leave_it_to_others(start: Instant) {
    if start.elapsed() > Duration::from_millis(1) {
        thread::sleep(Duration::from_micros(100));
    }
}

/// A thread that leads the flight of key 7 from a plain function, and panics once the gate opens. It leads when this returns.
pub fn leader_that_panics<'scope>(
    scope: &'scope Scope<'scope, '_>,
    cache: &'scope Cache<u64, u64>,
    gate: &'scope Gate,
) -> ScopedJoinHandle<'scope, u64> {
    let leader = scope.spawn(|| {
        cache.blocking().get_or_load(&7, || -> u64 {
            gate.pass_blocking();
            panic!("the body");
        })
    });
    until_blocking("it leads", || gate.arrived() == 1);
    leader
}

/// Lets every task of a single-threaded executor run until it waits for something.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Runs work on a thread of its own, and fails if it takes longer than [`LIMIT`]: a test of what must not hang. A panic
/// of the work is the caller's.
pub fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    within(LIMIT, work)
}

/// [`in_time`] with a limit of its own: for work that is long, and longer where others have the processors.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    let worker = thread::spawn(move || {
        let done = work();
        let _ = tell.send(());
        done
    });
    match told.recv_timeout(limit) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => worker.join().unwrap_or_else(|panic| resume_unwind(panic)),
    }
}

/// Runs a test on a tokio runtime of its own, [`in_time`]: with so many worker threads, or none but this one.
pub fn on_tokio(workers: usize, test: impl AsyncFnOnce() + Send + 'static) {
    use tokio::runtime::Builder;

    in_time(move || {
        let mut builder = if workers == 0 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
        builder.worker_threads(workers.max(1)).enable_all().build().unwrap().block_on(test());
    });
}

/// Runs a future on this thread, without any runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls a future once, with nobody to wake.
pub fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A xorshift generator: the same numbers for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Zero is no seed: it counts as one.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
