//! Evict, clear and put against a load that is just finishing, 60 000 times each: whichever comes first, nothing stale
//! is left.
//!
//! The loader reads its source before the write, and is released at the very moment of the write; each side waits a
//! random while, so that either may be first. That both orders happened, often, is part of what is asserted: otherwise
//! the test would show nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hybridcache::Cache;
use hybridcache_tests::{Random, within};

const ROUNDS: u64 = 60_000;

/// Some seconds are enough where two processors are free; without them each meeting costs a turn of the scheduler.
const LIMIT: Duration = Duration::from_secs(300);

/// One test at a time: two that race need two processors.
static ALONE: Mutex<()> = Mutex::new(());

/// What two threads meet at. Both spin: a sleep would put microseconds between them.
#[derive(Default)]
struct Rendezvous(AtomicU64);

impl Rendezvous {
    fn meet(&self, number: u64) {
        self.0.fetch_add(1, Ordering::AcqRel);
        let mut spins = 0_u32;
        while self.0.load(Ordering::Acquire) < 2 * number {
            spins += 1;
            // The other may have lost its processor: then it needs this one.
            if spins.is_multiple_of(2_000) { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

fn spin(random: &mut Random, most: u64) {
    for _ in 0..random.below(most) {
        std::hint::spin_loop();
    }
}

/// How the races ended.
#[derive(Debug, Default)]
struct Ends {
    /// The load was kept, and the write then removed or replaced what it had kept.
    load_first: u64,
    /// The write came first, and the load was not kept.
    write_first: u64,
}

/// Races loads of an old value against `write`, which is given the new one, and checks after each what is left.
fn race(name: &'static str, write: fn(&Cache<u64, u64>, u64, u64), left: fn(u64) -> Option<u64>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    println!("{name}: seed {seed}");
    let ends = within(LIMIT, move || {
        let cache: Cache<u64, u64> = Cache::builder(name).capacity(ROUNDS * 2).build().unwrap();
        let source = AtomicU64::new(0);
        let (body, done) = (Rendezvous::default(), Rendezvous::default());
        // How long each side waits at most: moved to where both orders are about as frequent.
        let (load_waits, write_waits) = (AtomicU64::new(100), AtomicU64::new(100));
        let mut ends = Ends::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = Random::seeded(seed);
                for round in 1..=ROUNDS {
                    let key = round % 128;
                    let loaded = cache.blocking().get_or_load(&key, || {
                        let read = source.load(Ordering::SeqCst);
                        body.meet(round);
                        spin(&mut random, load_waits.load(Ordering::Relaxed));
                        read
                    });
                    assert_eq!(loaded, 2 * round - 2, "who asked before gets what was there");
                    done.meet(2 * round - 1);
                    done.meet(2 * round);
                }
            });
            let mut random = Random::seeded(seed.rotate_left(32));
            for round in 1..=ROUNDS {
                let key = round % 128;
                body.meet(round);
                spin(&mut random, write_waits.load(Ordering::Relaxed));
                let new = 2 * round;
                let before = cache.stats().evictions;
                source.store(new, Ordering::SeqCst);
                write(&cache, key, new);
                let at_once = cache.blocking().peek(&key);
                assert_eq!(at_once, left(new), "round {round}: as soon as the write has returned");
                done.meet(2 * round - 1);
                let after = cache.blocking().peek(&key);
                assert_eq!(after, left(new), "round {round}: when the load has returned too");
                let now = cache.stats().evictions;
                let removed = now.explicit + now.replaced - before.explicit - before.replaced;
                // What was there from the round before on this key is gone: each round ends by an evict.
                if removed == 0 {
                    ends.write_first += 1;
                    write_waits.store((write_waits.load(Ordering::Relaxed) + 1).min(3_000), Ordering::Relaxed);
                    load_waits.store(load_waits.load(Ordering::Relaxed).saturating_sub(1).max(1), Ordering::Relaxed);
                } else {
                    ends.load_first += 1;
                    write_waits.store(write_waits.load(Ordering::Relaxed).saturating_sub(1).max(1), Ordering::Relaxed);
                    load_waits.store((load_waits.load(Ordering::Relaxed) + 1).min(3_000), Ordering::Relaxed);
                }
                cache.blocking().evict(&key).unwrap();
                done.meet(2 * round);
            }
        });
        ends
    });
    println!("{name}: {ends:?}");
    assert_eq!(ends.load_first + ends.write_first, ROUNDS);
    assert!(
        ends.load_first > ROUNDS / 100 && ends.write_first > ROUNDS / 100,
        "seed {seed}: both orders happen: {ends:?}"
    );
}

#[test]
fn an_evict_is_never_undone() {
    race("evict", |cache, key, _| assert!(cache.blocking().evict(&key).is_ok()), |_| None);
}

#[test]
fn a_clear_is_never_undone() {
    race("clear", |cache, _, _| assert!(cache.blocking().clear().is_ok()), |_| None);
}

#[test]
fn a_put_is_never_undone() {
    race("put", |cache, key, new| cache.blocking().insert(&key, new).unwrap(), Some);
}

/// Four threads load, evict, put, clear and refresh a few keys as they please, of a source that only grows. After an
/// evict has returned, nobody is served anything older than what the source was before it.
#[test]
fn what_an_evict_forbade_is_never_served_again() {
    const KEYS: usize = 4;
    const STEPS: u64 = 60_000;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    println!("seed {seed}");
    let served = within(LIMIT, move || {
        let cache: Cache<u64, u64> = Cache::builder("free for all").build().unwrap();
        let source: [AtomicU64; KEYS] = std::array::from_fn(|_| AtomicU64::new(1));
        // The newest state of the source that a returned evict has announced.
        let announced: [AtomicU64; KEYS] = std::array::from_fn(|_| AtomicU64::new(0));
        let served = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let (cache, source, announced, served) = (&cache, &source, &announced, &served);
                scope.spawn(move || {
                    let plain = cache.blocking();
                    let mut random = Random::seeded(seed ^ (thread + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                    for _ in 0..STEPS {
                        let at = random.below(KEYS as u64) as usize;
                        let key = at as u64;
                        let load = || source[at].load(Ordering::SeqCst);
                        let due = announced[at].load(Ordering::SeqCst);
                        let found = match random.below(16) {
                            0 => {
                                let committed = source[at].fetch_add(1, Ordering::SeqCst) + 1;
                                plain.evict(&key).unwrap();
                                announced[at].fetch_max(committed, Ordering::SeqCst);
                                continue;
                            }
                            1 => {
                                let write = plain.write(&key).unwrap();
                                let committed = source[at].fetch_add(1, Ordering::SeqCst) + 1;
                                write.put_blocking(committed).unwrap();
                                announced[at].fetch_max(committed, Ordering::SeqCst);
                                continue;
                            }
                            2 => {
                                let before = source.each_ref().map(|of| of.load(Ordering::SeqCst));
                                plain.clear().unwrap();
                                for (announced, before) in announced.iter().zip(before) {
                                    announced.fetch_max(before, Ordering::SeqCst);
                                }
                                continue;
                            }
                            3 => Some(plain.refresh(&key, load)),
                            4 => plain.peek(&key),
                            5 => plain.get(&key),
                            _ => Some(plain.get_or_load(&key, load)),
                        };
                        if let Some(found) = found {
                            assert!(found >= due, "seed {seed}: {found} is served after {due} was announced");
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        served.into_inner()
    });
    assert!(served > STEPS, "{served}");
}
