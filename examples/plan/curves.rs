//! Replays a sample over all policies and capacities, on all cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use replays::optimum;
use replays::policies::CONTENDERS;

use crate::progress::Progress;
use crate::sample::Sample;

/// Set by Ctrl-C.
pub(crate) static STOP: AtomicBool = AtomicBool::new(false);

/// The hit ratio of one policy, from 0 to 1, at each of the capacities.
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) ratios: Vec<f64>,
}

/// What became of a stream.
pub(crate) struct Curves {
    pub(crate) title: String,
    pub(crate) sample: Sample,
    pub(crate) capacities: Vec<u64>,
    /// The optimum first, then the policies.
    pub(crate) curves: Vec<Curve>,
}

/// Capacities on the way from a thousandth of the keys to all of them, in shares of a thousand.
const LADDER: [u128; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 350, 500, 750, 1_000];
/// Below so many entries a cache of a sample says nothing about the one it stands for.
const SMALLEST: f64 = 8.0;

/// The least capacity that a sample says something about.
pub(crate) fn smallest(sample: &Sample) -> u64 {
    if sample.rate < 1.0 { (SMALLEST / sample.rate) as u64 } else { 1 }
}

/// The capacities to try where the caller named none.
pub(crate) fn ladder(sample: &Sample) -> Vec<u64> {
    let (keys, smallest) = (sample.keys(), smallest(sample));
    let capacity = |share: u128| (u128::from(keys) * share).div_ceil(1_000) as u64;
    let mut capacities: Vec<_> = LADDER.into_iter().map(capacity).filter(|capacity| *capacity >= smallest).collect();
    capacities.dedup();
    if capacities.is_empty() { vec![keys] } else { capacities }
}

/// `None` if Ctrl-C came first.
pub(crate) fn replay(title: String, sample: Sample, capacities: Vec<u64>) -> Option<Curves> {
    let (columns, rows) = (capacities.len(), CONTENDERS.len() + 1);
    let next_uses = optimum::next_uses(&sample.requests, sample.distinct);
    let progress = Progress::new((columns * rows * sample.requests.len()) as u64, "requests replayed");
    let (next, hits) = (AtomicUsize::new(0), Mutex::new(vec![0; columns * rows]));
    let work = || {
        loop {
            // Large capacities first: they take longest, and should not be left for the end.
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= columns * rows {
                return;
            }
            let (row, column) = (job % rows, columns - 1 - job / rows);
            let capacity = sample.scaled(capacities[column]);
            let mut told = 0;
            let mut go_on = |step: u64| {
                told += step;
                progress.add(step);
                !STOP.load(Ordering::Relaxed)
            };
            let counted = match row.checked_sub(1) {
                None => optimum::hits(&sample.requests, &next_uses, sample.distinct, capacity, || go_on(0)),
                Some(contender) => CONTENDERS[contender].hits(&sample.requests, capacity, &mut go_on),
            };
            progress.add(sample.requests.len() as u64 - told);
            if let Some(counted) = counted {
                hits.lock().expect("no worker panics")[row * columns + column] = counted;
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| _ = scope.spawn(work)));
    drop(progress);
    if STOP.load(Ordering::Relaxed) {
        return None;
    }
    let hits = hits.into_inner().expect("no worker panicked");
    let names = std::iter::once("optimum").chain(CONTENDERS.iter().map(|contender| contender.name));
    let curves = names
        .zip(hits.chunks(columns))
        .map(|(name, hits)| Curve { name, ratios: hits.iter().map(|hits| sample.hit_ratio(*hits)).collect() })
        .collect();
    Some(Curves { title, sample, capacities, curves })
}
