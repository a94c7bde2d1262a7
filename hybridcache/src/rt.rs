//! Running things: the only module that spawns, blocks, or names a runtime.

#[cfg(feature = "redis")]
pub(crate) mod broken;
#[cfg(feature = "redis")]
pub(crate) mod io;

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
pub(crate) use tokio::sync::OnceCell;
use tokio::task::{AbortHandle, JoinSet};

use crate::sync::{LocalKey, thread_local};
use crate::time::Clock;

/// The library's own runtime: one thread, started by the first thing that needs it.
///
/// Sweeps live here and not on the caller's runtime, because a static cache outlives that (each `#[tokio::test]` brings and
/// drops its own), because a plain function has none, and because a runtime may have been built without a timer. `None` if
/// the system would not give us a thread: then nothing is swept in the background.
fn background() -> Option<&'static Handle> {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    started(&RUNTIME, "hybridcache", Builder::enable_time)
}

/// The timers of waits, for the same reasons, on a thread that does nothing else: on [`background`] user code runs, a listener
/// that a sweep calls, which may take its time or wait itself. `None` if the system would not give us a thread: then waits
/// have no time limit.
fn timers() -> Option<&'static Handle> {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    started(&RUNTIME, "hybridcache-time", Builder::enable_time)
}

/// A runtime that the first who needs it starts; and the next, where the system had no thread or no file descriptor left for that one.
fn started(
    runtime: &'static OnceLock<Handle>,
    name: &str,
    enable: fn(&mut Builder) -> &mut Builder,
) -> Option<&'static Handle> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if runtime.get().is_none() {
        let _alone = ONE_AT_A_TIME.lock();
        if runtime.get().is_none() {
            let _ = runtime.set(start(name, enable(&mut Builder::new_current_thread()))?);
        }
    }
    runtime.get()
}

/// A runtime on a thread of its own, which never ends.
fn start(name: &str, builder: &mut Builder) -> Option<Handle> {
    let mut start = || {
        let runtime = builder.build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok::<_, std::io::Error>(handle)
    };
    start().inspect_err(|error| tracing::error!(%error, "hybridcache could not start its thread `{name}`")).ok()
}

/// Runs `future`, and gives up after `limit`. On any executor, or none.
pub(crate) async fn within<F: Future + Unpin>(clock: &Clock, limit: Duration, mut future: F) -> Option<F::Output> {
    // A wait is often over before it began; then no timer is needed.
    if let Poll::Ready(output) = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await {
        return Some(output);
    }
    let timer = if limit == Duration::MAX {
        None
    } else if clock.follows_tokio() && Handle::try_current().is_ok() {
        Some(tokio::time::sleep(limit))
    } else {
        timers().map(|handle| {
            let _context = handle.enter();
            tokio::time::sleep(limit)
        })
    };
    let Some(timer) = timer else {
        return Some(future.await);
    };
    let mut timer = pin!(timer);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Runs `future` on this thread, which parks while it has to wait. Needs no runtime, and may be called inside of one.
#[inline]
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // A leader of a plain function runs its body in the first poll and never waits: no waker has to be made for it.
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => park_on(future),
    }
}

thread_local! {
    /// This thread parks until what it polls is done.
    static PARKS: Cell<bool> = const { Cell::new(false) };
}

/// Whether it is [`block_on`] that polls, and nothing else runs on this thread before there is what is waited for.
#[cfg(feature = "redis")]
fn parks(context: &Context<'_>) -> bool {
    context.waker().will_wake(Waker::noop()) || PARKS.get()
}

#[cold]
fn park_on<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let _parks = Within::enter(&PARKS, true);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// Runs user code that is part of the cache's own work (a weigher, a listener, a filter): its panic is reported and
/// goes no further, because the caller of a cached function has no part in it.
pub(crate) fn guarded<T>(what: &str, work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).inspect_err(|_| tracing::error!(what, "user code of the cache panicked")).ok()
}

/// Does something on the library's own thread, because it may run user code where this thread has others waiting for it.
#[cfg(feature = "redis")]
pub(crate) fn aside(work: impl FnOnce() + Send + 'static) {
    match background() {
        Some(handle) => drop(handle.spawn(async { work() })),
        None => work(),
    }
}

/// Lets other tasks of this executor run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Sets a thread's slot to a value while a future is polled or a closure runs, and back afterwards, also by unwinding.
pub(crate) struct Within<T: Copy + 'static> {
    slot: &'static LocalKey<Cell<T>>,
    outer: T,
}

impl<T: Copy> Within<T> {
    pub(crate) fn enter(slot: &'static LocalKey<Cell<T>>, value: T) -> Self {
        Self { slot, outer: slot.with(|slot| slot.replace(value)) }
    }
}

impl<T: Copy> Drop for Within<T> {
    fn drop(&mut self) {
        self.slot.with(|slot| slot.set(self.outer));
    }
}

/// Background work that somebody can wait for.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    tasks: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    closed: bool,
    /// Work that has an end: drained by a shutdown.
    finite: JoinSet<()>,
    /// Work that has none: stopped by a shutdown.
    endless: JoinSet<()>,
}

impl Tasks {
    /// Runs `future` on the caller's runtime, where the things it uses live, or else on our own.
    /// Returns whether it was started; after a shutdown it is not.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> bool {
        let Some(handle) = Handle::try_current().ok().or_else(|| background().cloned()) else {
            return false;
        };
        self.add(|tasks| tasks.spawn_on(future, &handle))
    }

    /// Runs `work` on a thread that may block.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let Some(handle) = Handle::try_current().ok().or_else(|| background().cloned()) else {
            return false;
        };
        self.add(|tasks| tasks.spawn_blocking_on(work, &handle))
    }

    fn add(&self, start: impl FnOnce(&mut JoinSet<()>) -> AbortHandle) -> bool {
        let mut running = self.tasks.lock();
        if running.closed {
            return false;
        }
        while running.finite.try_join_next().is_some() {}
        start(&mut running.finite);
        true
    }

    /// Runs `step` every `interval` of real time until it says it is done, or until the shutdown.
    pub(crate) fn every(&self, interval: Duration, step: impl Fn() -> bool + Send + 'static) {
        let Some(handle) = background() else { return };
        let mut running = self.tasks.lock();
        if running.closed {
            return;
        }
        while running.endless.try_join_next().is_some() {}
        let task = async move {
            loop {
                tokio::time::sleep(interval).await;
                if !step() {
                    return;
                }
            }
        };
        running.endless.spawn_on(task, handle);
    }

    /// Stops what is endless, waits for the rest, and starts nothing any more.
    pub(crate) async fn shutdown(&self) {
        let mut finite = {
            let mut running = self.tasks.lock();
            running.closed = true;
            drop(std::mem::take(&mut running.endless));
            std::mem::take(&mut running.finite)
        };
        while finite.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effort::{grows_as_much, spent};
    use std::sync::mpsc;

    #[test]
    fn a_wait_is_limited_without_any_runtime() {
        assert_eq!(block_on(within(&Clock::kernel(), Duration::from_millis(5), std::future::pending::<()>())), None);
        assert_eq!(block_on(within(&Clock::kernel(), Duration::ZERO, std::future::ready(7))), Some(7));
    }

    #[cfg(feature = "test-util")]
    #[test]
    fn a_wait_by_the_clock_of_tokio_is_limited_without_a_runtime_too() {
        assert_eq!(block_on(within(&Clock::tokio(), Duration::from_millis(5), std::future::pending::<()>())), None);
    }

    #[test]
    fn blocking_waits_for_a_wake_from_another_thread() {
        let (tell, told) = mpsc::channel::<Waker>();
        let mut asked = false;
        thread::scope(|scope| {
            scope.spawn(move || told.recv().map(Waker::wake));
            block_on(std::future::poll_fn(|cx| {
                if asked {
                    return Poll::Ready(());
                }
                if !cx.waker().will_wake(Waker::noop()) {
                    asked = true;
                    let _ = tell.send(cx.waker().clone());
                }
                Poll::Pending
            }));
        });
    }

    #[test]
    fn a_shutdown_waits_for_what_was_started_and_refuses_more() {
        let tasks = Tasks::default();
        let (tell, told) = mpsc::channel();
        assert!(tasks.spawn_blocking(move || tell.send(()).unwrap()));
        tasks.every(Duration::from_millis(1), || true);
        block_on(tasks.shutdown());
        assert_eq!(told.try_recv(), Ok(()));
        assert!(!tasks.spawn(async {}));
        assert!(!tasks.spawn_blocking(|| ()));
    }

    #[test]
    fn much_that_is_endless_is_begun_at_no_great_cost() {
        grows_as_much(500, |many| {
            let tasks = Tasks::default();
            let began = || (0..many).for_each(|_| tasks.every(Duration::from_secs(3_600), || true));
            let spent = spent(began);
            block_on(tasks.shutdown());
            spent
        });
    }
}
