//! What is timed: loops over one operation, plain or async, on one thread or several.

use std::cell::OnceCell;
use std::hint::black_box;
use std::ops::Range;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// Runs so many operations on each of its threads, and says how long that took.
pub type Work = Box<dyn FnMut(u64) -> Duration>;

/// The operations of a range of numbers, one after the other, on the thread that calls it.
pub trait Batch: Fn(Range<u64>) + Sync + 'static {}

impl<F: Fn(Range<u64>) + Sync + 'static> Batch for F {}

/// Calls `op` with each number.
pub fn plain<T>(op: impl Fn(u64) -> T + Sync + 'static) -> impl Batch {
    move |range: Range<u64>| {
        for i in range {
            drop(black_box(op(i)));
        }
    }
}

/// [`plain`] for an async operation: one task of a tokio runtime that this thread has for it.
pub fn awaited<T>(op: impl AsyncFn(u64) -> T + Sync + 'static) -> impl Batch {
    thread_local! {
        static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
    }
    move |range: Range<u64>| {
        RUNTIME.with(|runtime| {
            let runtime =
                runtime.get_or_init(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));
            runtime.block_on(async {
                for i in range {
                    drop(black_box(op(i).await));
                }
            });
        });
    }
}

/// Times `batch`; the numbers go on from one call to the next.
pub fn timed(threads: u64, batch: impl Batch) -> Work {
    timed_after(|_| (), threads, batch)
}

/// Times `batch`, after `before` has done something for the same numbers, untimed and on one thread.
pub fn timed_after(before: impl Fn(Range<u64>) + 'static, threads: u64, batch: impl Batch) -> Work {
    let mut next = 0;
    Box::new(move |n| {
        let first = next;
        next += n * threads;
        before(first..next);
        if threads == 1 {
            let start = Instant::now();
            batch(first..next);
            return start.elapsed();
        }
        let line = Barrier::new(threads as usize);
        let run = |mine: Range<u64>| {
            // Whatever a thread needs once.
            batch(mine.start..mine.start);
            line.wait();
            let start = Instant::now();
            batch(mine);
            (start, Instant::now())
        };
        thread::scope(|scope| {
            let run = &run;
            let runners: Vec<_> =
                (0..threads).map(|i| scope.spawn(move || run(first + i * n..first + (i + 1) * n))).collect();
            let times = runners.into_iter().map(|runner| runner.join().expect("no operation panics"));
            let (start, end) = times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).expect("at least one thread");
            end - start
        })
    })
}
