//! The thread of connections, and what runs on it.
//!
//! It has nothing else to do: a sweep, a removal listener or a plain function on another thread never holds up an answer
//! or a message of the bus. And it outlives every runtime of the application, so that a test that drops its own takes no
//! connection with it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Builder;
pub(crate) use tokio::runtime::Handle;
use tokio::sync::Notify;
pub(crate) use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Sleep;

/// `None` if the system would not give us a thread: then nothing connects.
fn runtime() -> Option<&'static Handle> {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    super::started(&RUNTIME, "hybridcache-io", Builder::enable_all)
}

/// Something that runs on the thread of connections until it ends, or until this is dropped.
#[derive(Debug)]
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Task<T> {
    /// Ends it, and returns when it no longer runs.
    pub(crate) async fn stop(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

/// Starts `future` on the thread of connections.
pub(crate) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Option<Task<T>> {
    runtime().map(|handle| Task(handle.spawn(future)))
}

/// Runs `future` on the thread of connections until it ends.
pub(crate) fn detach(future: impl Future<Output = ()> + Send + 'static) {
    if let Some(handle) = runtime() {
        handle.spawn(future);
    }
}

/// Where a connection lives.
#[derive(Clone, Debug, Default)]
pub(crate) enum Home {
    #[default]
    Thread,
    /// Of the application.
    Runtime(Handle),
}

impl Home {
    /// Runs `future` there, where it may connect, and waits for it on any executor, or none. Dropping the wait ends it. `None`
    /// if nothing runs there any more, or if the future panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut task = match self {
            Self::Thread => spawn(future)?,
            Self::Runtime(handle) => Task(handle.spawn(future)),
        };
        (&mut task.0).await.ok()
    }

    /// Whether it is the runtime of the application that polls this, and goes on while this waits.
    pub(crate) async fn is_here(&self) -> bool {
        let Self::Runtime(home) = self else { return false };
        std::future::poll_fn(|cx| {
            Poll::Ready(!super::parks(cx) && Handle::try_current().is_ok_and(|here| here.id() == home.id()))
        })
        .await
    }
}

/// Runs `future` where the caller is, and gives up after `limit` of real time. On any executor, or none.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // The first poll sends the command. The timer comes second: it has then woken a thread that is awake already.
    if let Poll::Ready(output) = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        return Some(output);
    }
    let mut timer = pin!(sleep(limit));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Waits for so long of real time. On any executor, or none.
pub(crate) async fn sleep(duration: Duration) {
    let Some(handle) = runtime() else { return std::future::pending().await };
    let timer = {
        let _context = handle.enter();
        tokio::time::sleep(duration)
    };
    timer.await;
}

/// A timer that is set again and again. For what runs on the thread of connections.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// When it goes off; `None` if it is not set.
    at: Option<Instant>,
}

impl Alarm {
    /// Has it go off at this instant, unless it does so earlier.
    pub(crate) fn go_off_by(&mut self, at: Instant) {
        if self.at.is_some_and(|set| set <= at) {
            return;
        }
        self.at = Some(at);
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at.into()),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(at.into()))),
        }
    }

    /// Whether it goes off. Then it is not set any more.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(_), Some(timer)) = (self.at, &mut self.timer) else { return Poll::Pending };
        timer.as_mut().poll(cx).map(|()| self.at = None)
    }
}

/// The longest that a task keeps the thread of connections awake for what may come next.
const LINGERS: Duration = Duration::from_micros(100);
/// A thread that wakes faster than this does not have to be kept awake.
const WAKES_FAST: Duration = Duration::from_micros(15);
/// By so much it is corrected, each time, how long a wake is thought to take.
const STEP: Duration = Duration::from_micros(1);
/// Where it never pays off it is tried once in so many times, as a power of two.
const SELDOM: u8 = 8;
/// Once in so many times it is not tried where it always pays off, so that it stays known how long a wake takes.
const PASSED: u16 = 64;

/// Whether a task that has nothing to do keeps the thread of connections awake for a moment, because to wake it would take longer
/// than what it waits for. For what runs on that thread.
///
/// A wake takes a few microseconds where processors are busy, and ten times as long where they sleep. There the thread stays awake
/// for up to three times as long, which is what a server on the same machine takes to wake and to answer, and a caller to wake and to ask
/// again. It is tried as often as it pays off: nearly always, or once in 256 times with a server further away. It is never tried with
/// one processor, where what it waits for could not happen.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    /// Since when it lasts.
    since: Option<Instant>,
    /// How long a wake of this thread takes, about.
    wake: Duration,
    /// It is tried once in so many times, as a power of two.
    seldom: u8,
    /// So many more times it is not.
    passes: u16,
    /// How often it was tried.
    tried: u16,
}

impl Lingering {
    /// There is something to do.
    pub(crate) fn found(&mut self) {
        if self.since.take().is_some() {
            self.seldom = self.seldom.saturating_sub(1);
        }
    }

    /// The thread was woken, and that took so long.
    pub(crate) fn woken(&mut self, took: Duration) {
        // Towards the median, and not the mean: now and then a thread waits for its processor much longer than for its wake.
        self.wake = if took > self.wake { self.wake + STEP } else { self.wake.saturating_sub(STEP) };
    }

    /// Whether to stay awake, now that there is nothing to do. Then the task is polled again when the sockets have been looked at.
    pub(crate) fn stay(&mut self, cx: &mut Context<'_>) -> bool {
        match self.since {
            None => {
                if !(several_processors() && self.tries()) {
                    return false;
                }
                self.since = Some(Instant::now());
            }
            Some(since) if since.elapsed() > LINGERS.min(3 * self.wake) => {
                self.missed();
                return false;
            }
            Some(_) => {}
        }
        // Woken by itself the task would run again at once: this has the thread look at its sockets in between.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
        true
    }

    /// Whether it is tried this time.
    fn tries(&mut self) -> bool {
        if self.wake < WAKES_FAST {
            return false;
        }
        if self.passes > 0 {
            self.passes -= 1;
            return false;
        }
        self.tried = (self.tried + 1) % PASSED;
        self.passes = u16::from(self.tried == 0);
        true
    }

    /// It did not pay off.
    fn missed(&mut self) {
        self.since = None;
        // Two steps for one back: it has to pay off two times in three.
        self.seldom = (self.seldom + 2).min(SELDOM);
        self.passes = (1 << self.seldom) - 1;
    }
}

fn several_processors() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1))
}

/// Tasks on the thread of connections that end with whoever keeps them.
#[derive(Debug)]
pub(crate) struct Crew(Mutex<Option<JoinSet<()>>>);

impl Crew {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Some(JoinSet::new())))
    }

    /// Runs `task`, unless the crew was dismissed.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let (Some(tasks), Some(handle)) = (&mut *self.0.lock(), runtime()) {
            while tasks.try_join_next().is_some() {}
            tasks.spawn_on(task, handle);
        }
    }

    /// Returns when all tasks have come to their end. From here on none is run any more.
    pub(crate) async fn finish(&self) {
        let tasks = self.0.lock().take();
        if let Some(mut tasks) = tasks {
            while tasks.join_next().await.is_some() {}
        }
    }

    /// Ends all tasks, and returns when none runs.
    pub(crate) async fn dismiss(&self) {
        let tasks = self.0.lock().take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
    }

    pub(crate) fn is_dismissed(&self) -> bool {
        self.0.lock().is_none()
    }
}

/// Wakes one waiter; if nobody waits, the next one does not have to.
#[derive(Debug, Default)]
pub(crate) struct Signal(Notify);

impl Signal {
    pub(crate) fn notify(&self) {
        self.0.notify_one();
    }

    /// Wakes all who wait; if nobody does, the next one does not have to.
    pub(crate) fn notify_all(&self) {
        self.0.notify_one();
        self.0.notify_waiters();
    }

    pub(crate) async fn notified(&self) {
        self.0.notified().await;
    }
}

/// Made once, to everybody: those who wait for it, and those who begin to wait when it was made already.
#[derive(Debug, Default)]
pub(crate) struct Announcement {
    made: AtomicBool,
    waiting: Notify,
}

impl Announcement {
    pub(crate) fn make(&self) {
        self.made.store(true, Ordering::Release);
        self.waiting.notify_waiters();
    }

    /// Interleaving that the flag defeats: two are about to wait; it is made, and nobody waits yet; a permit that is left for them
    /// wakes one, and the other sleeps. And it is read by who waits already: else it is made between the look and the wait.
    pub(crate) async fn made(&self) {
        let waiting = self.waiting.notified();
        if !self.made.load(Ordering::Acquire) {
            waiting.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many times, how often it is tried; and whether it pays off then.
    fn tried(lingering: &mut Lingering, times: u32, pays: bool) -> u32 {
        (0..times).map(|_| u32::from(lingering.tries() && once(lingering, pays))).sum()
    }

    fn once(lingering: &mut Lingering, pays: bool) -> bool {
        lingering.since = Some(Instant::now());
        if pays {
            lingering.found()
        } else {
            lingering.missed()
        }
        true
    }

    #[test]
    fn lingering_is_tried_where_a_wake_is_slow_and_it_pays_off() {
        let mut lingering = Lingering::default();
        assert_eq!(tried(&mut lingering, 100, true), 0, "nothing is known of wakes");
        (0..100).for_each(|_| lingering.woken(Duration::from_micros(5)));
        assert_eq!(tried(&mut lingering, 100, true), 0, "they are fast");
        (0..100).for_each(|_| lingering.woken(Duration::from_micros(40)));
        assert_eq!(tried(&mut lingering, 6_500, true), 6_400, "all but one in 65, which shows how long a wake takes");
        let in_vain = tried(&mut lingering, 25_600, false);
        assert!((90..110).contains(&in_vain), "{in_vain} of 25,600 that are all in vain");
        tried(&mut lingering, 1_000, true);
        assert!(tried(&mut lingering, 650, true) > 600, "it pays off again");
        (0..100).for_each(|_| lingering.woken(Duration::ZERO));
        assert_eq!(tried(&mut lingering, 100, true), 0, "they are fast again");
    }
}
