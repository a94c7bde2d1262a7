//! The thread of connections, and what runs on it.
//!
//! It has nothing else to do: a sweep, a removal listener or a plain function on another thread never holds up an answer
//! or a message of the bus. And it outlives every runtime of the application, so that a test that drops its own takes no
//! connection with it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
pub(crate) use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Sleep;

/// `None` if the system would not give us a thread: then nothing ever connects.
fn runtime() -> Option<&'static Handle> {
    static RUNTIME: OnceLock<Option<Handle>> = OnceLock::new();
    RUNTIME.get_or_init(|| super::start("hybridcache-io", Builder::new_current_thread().enable_all())).as_ref()
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

/// Runs `future` on the thread of connections, where it may connect, and waits for it on any executor, or none. Dropping the
/// wait ends it. `None` if there is no such thread, or if the future panicked.
pub(crate) async fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let mut task = spawn(future)?;
    (&mut task.0).await.ok()
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

    /// Ends all tasks, and returns when none runs.
    pub(crate) async fn dismiss(&self) {
        let tasks = self.0.lock().take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
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
