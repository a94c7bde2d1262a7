//! User code that panics: it reaches the caller that ran it, or is contained; the cache goes on to work.

use std::cell::Cell;
use std::hash::Hash;
use std::hash::Hasher;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hybridcache::{Cache, Clock, Share};
use hybridcache_tests::{Gate, Runs, SECOND, block_on, in_time, until_blocking};

/// A value that panics where it is told to.
#[derive(Debug)]
struct Value {
    number: u64,
    on_clone: Arc<AtomicBool>,
    on_drop: Arc<AtomicBool>,
}

impl Value {
    fn new(number: u64) -> Self {
        Self { number, on_clone: Arc::default(), on_drop: Arc::default() }
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        assert!(!self.on_clone.swap(false, Ordering::SeqCst), "a clone panics");
        Self { number: self.number, on_clone: Arc::clone(&self.on_clone), on_drop: Arc::clone(&self.on_drop) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || !self.on_drop.swap(false, Ordering::SeqCst), "a drop panics");
    }
}

fn panics<T>(work: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

/// The cache works, for these keys and others.
fn still_works(cache: &Cache<u64, Value>) {
    let plain = cache.blocking();
    for key in 0..50 {
        plain.insert(&key, Value::new(key)).unwrap();
        assert_eq!(plain.get(&key).unwrap().number, key);
        plain.evict(&key).unwrap();
        assert_eq!(plain.get_or_load(&key, || Value::new(key + 1)).number, key + 1);
    }
    plain.clear().unwrap();
    assert!(cache.is_empty());
}

#[test]
fn a_clone_that_panics_reaches_only_the_caller_that_made_it() {
    in_time(|| {
        let cache: Cache<u64, Value> = Cache::builder("clones").build().unwrap();
        let plain = cache.blocking();
        let value = Value::new(7);
        let on_clone = Arc::clone(&value.on_clone);
        plain.insert(&1, value).unwrap();
        type Look<'a> = (&'a str, Box<dyn Fn() + 'a>);
        let looks: [Look<'_>; 4] = [
            ("get", Box::new(|| drop(plain.get(&1)))),
            ("peek", Box::new(|| drop(plain.peek(&1)))),
            ("get_or_load", Box::new(|| drop(plain.get_or_load(&1, || Value::new(0))))),
            ("get_many", Box::new(|| drop(block_on(cache.get_many(&[1]))))),
        ];
        for (name, look) in looks {
            on_clone.store(true, Ordering::SeqCst);
            assert!(panics(look), "{name}");
            assert_eq!(plain.get(&1).unwrap().number, 7, "{name}: the next look is right");
        }
        still_works(&cache);
    });
}

/// The leader clones the value once to keep it, and once more for those who wait; each of those clones what it is
/// handed, but the last. Any of these may panic.
#[test]
fn a_clone_that_panics_as_a_load_ends_hangs_nobody() {
    #[derive(Debug)]
    struct Nth(u64, Arc<AtomicUsize>);
    impl Clone for Nth {
        fn clone(&self) -> Self {
            assert!(self.1.fetch_sub(1, Ordering::SeqCst) != 1, "the clone panics");
            Self(self.0, Arc::clone(&self.1))
        }
    }
    in_time(|| {
        for nth in 1..=8 {
            let cache: Cache<u64, Nth> = Cache::builder("clones").wait_timeout(Duration::MAX).build().unwrap();
            let (runs, gate, left) = (Runs::default(), Gate::default(), Arc::new(AtomicUsize::new(nth)));
            let panicked = std::thread::scope(|scope| {
                let callers: Vec<_> = (0..5)
                    .map(|_| {
                        scope.spawn(|| {
                            cache.blocking().get_or_load(&1, || {
                                gate.pass_blocking();
                                Nth(runs.run(), Arc::clone(&left))
                            })
                        })
                    })
                    .collect();
                until_blocking("all but one wait", || cache.stats().waits == 4);
                gate.open();
                callers.into_iter().map(|caller| usize::from(caller.join().is_err())).sum::<usize>()
            });
            assert!(panicked <= 1, "the {nth}th clone: {panicked} callers heard of it");
            assert!(
                panicked == 1 || left.load(Ordering::SeqCst) > 0,
                "the {nth}th clone: somebody heard of it if it was made"
            );
            assert!(runs.count() <= 2);
            left.store(0, Ordering::SeqCst);
            assert!(cache.blocking().get_or_load(&1, || Nth(9, Arc::default())).0 >= 1);
        }
    });
}

#[test]
fn a_drop_that_panics_reaches_only_the_caller_that_made_it() {
    in_time(|| {
        let cache: Cache<u64, Value> = Cache::builder("drops").build().unwrap();
        let plain = cache.blocking();
        type Call<'a> = (&'a str, Box<dyn Fn() + 'a>);
        let calls: [Call<'_>; 4] = [
            ("evict", Box::new(|| drop(plain.evict(&1)))),
            ("insert", Box::new(|| plain.insert(&1, Value::new(8)).unwrap())),
            ("refresh", Box::new(|| drop(plain.refresh(&1, || Value::new(8))))),
            ("write", Box::new(|| plain.write(&1).unwrap().put_blocking(Value::new(8)).unwrap())),
        ];
        for (name, call) in calls {
            let value = Value::new(7);
            let on_drop = Arc::clone(&value.on_drop);
            plain.insert(&1, value).unwrap();
            on_drop.store(true, Ordering::SeqCst);
            assert!(panics(call), "{name}: the drop is the caller's");
            assert!(!on_drop.load(Ordering::SeqCst));
            let left = plain.get(&1);
            assert!(left.is_none_or(|left| left.number == 8), "{name}: the old value is gone");
            still_works(&cache);
        }
    });
}

#[test]
fn a_drop_that_panics_in_a_clear_leaves_nothing_behind() {
    in_time(|| {
        let cache: Cache<u64, Value> = Cache::builder("clears").build().unwrap();
        for key in 0..1_000 {
            let value = Value::new(key);
            value.on_drop.store(key % 300 == 0, Ordering::SeqCst);
            cache.blocking().insert(&key, value).unwrap();
        }
        cache.blocking().clear().unwrap();
        assert_eq!((cache.len(), cache.stats().evictions.explicit), (0, 1_000));
        still_works(&cache);
    });
}

#[test]
fn a_drop_that_panics_in_a_sweep_leaves_nothing_unswept() {
    in_time(|| {
        let clock = Clock::manual();
        let cache: Cache<u64, Value> =
            Cache::builder("sweeps").ttl(SECOND).sweep_interval(SECOND).clock(clock.clone()).build().unwrap();
        for key in 0..1_000 {
            let value = Value::new(key);
            value.on_drop.store(key % 300 == 0, Ordering::SeqCst);
            // Not by a clone of it, which would be the one to panic.
            cache.blocking().insert(&key, value).unwrap();
        }
        clock.advance(SECOND * 3);
        for _ in 0..10 {
            let _ = panics(|| cache.sweep());
        }
        assert_eq!(cache.len(), 0);
        still_works(&cache);
    });
}

#[test]
fn a_drop_that_panics_does_not_end_the_sweeping_in_the_background() {
    in_time(|| {
        let interval = Duration::from_millis(2);
        let cache: Cache<u64, Value> =
            Cache::builder("background").ttl(interval).sweep_interval(interval).build().unwrap();
        let value = Value::new(7);
        let on_drop = Arc::clone(&value.on_drop);
        on_drop.store(true, Ordering::SeqCst);
        cache.blocking().insert(&1, value).unwrap();
        until_blocking("it is dropped", || !on_drop.load(Ordering::SeqCst));
        cache.blocking().insert(&2, Value::new(8)).unwrap();
        until_blocking("the next is swept", || cache.is_empty());
    });
}

thread_local! {
    static BAD_KEY: Cell<bool> = const { Cell::new(false) };
}

/// A key that panics while [`BAD_KEY`] says so: in `Hash` for odd numbers, in `Eq` for even ones.
#[derive(Clone, Debug)]
struct Key(u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(!BAD_KEY.get() || self.0.is_multiple_of(2), "a hash panics");
        self.0.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        assert!(!BAD_KEY.get(), "an eq panics");
        self.0 == other.0
    }
}

impl Eq for Key {}

#[test]
fn a_key_that_panics_reaches_only_the_caller_that_asked_with_it() {
    in_time(|| {
        let cache: Cache<Key, u64> = Cache::builder("keys").ttl(SECOND * 1_000).build().unwrap();
        let plain = cache.blocking();
        for key in [1, 2] {
            let key = Key(key);
            plain.insert(&key, key.0).unwrap();
            type Call<'a> = (&'a str, Box<dyn Fn() + 'a>);
            let calls: [Call<'_>; 7] = [
                (
                    "get",
                    Box::new(|| {
                        let _ = plain.get(&key);
                    }),
                ),
                (
                    "peek",
                    Box::new(|| {
                        let _ = plain.peek(&key);
                    }),
                ),
                (
                    "get_or_load",
                    Box::new(|| {
                        let _ = plain.get_or_load(&key, || 9);
                    }),
                ),
                ("insert", Box::new(|| drop(plain.insert(&key, 9)))),
                (
                    "refresh",
                    Box::new(|| {
                        let _ = plain.refresh(&key, || 9);
                    }),
                ),
                ("evict", Box::new(|| drop(plain.evict(&key)))),
                ("write", Box::new(|| drop(plain.write(&key).unwrap().put_blocking(9)))),
            ];
            for (name, call) in calls {
                BAD_KEY.set(true);
                let panicked = panics(call);
                BAD_KEY.set(false);
                assert!(panicked, "{name} of {key:?}");
                let elsewhere =
                    std::thread::scope(|scope| scope.spawn(|| plain.get_or_load(&key, || 8)).join().unwrap());
                assert!([key.0, 8, 9].contains(&elsewhere), "{name} of {key:?}: others go on: {elsewhere}");
                plain.evict(&key).unwrap();
                assert_eq!(plain.get_or_load(&key, || key.0), key.0, "{name} of {key:?}: no flight is left behind");
                assert_eq!(plain.get(&key), Some(key.0));
            }
        }
        assert_eq!(cache.len(), 2);
    });
}

#[test]
fn a_body_that_panics_leaves_what_was_there() {
    in_time(|| {
        let cache: Cache<u64, u64> = Cache::builder("bad").build().unwrap();
        let plain = cache.blocking();
        plain.insert(&1, 1).unwrap();
        assert!(panics(|| plain.refresh(&1, || -> u64 { panic!("the body") })));
        assert_eq!(plain.get(&1), Some(1));
        assert!(panics(|| block_on(
            cache.get_many_or_load(&[1, 2], |_| async { panic!("the body") as Result<_, ()> })
        )));
        assert_eq!((plain.get(&1), plain.get(&2)), (Some(1), None));
        let said_and_panicked = || {
            plain.get_or_load_with(&3, |context| -> u64 {
                context.do_not_keep();
                panic!("the body")
            })
        };
        assert!(panics(said_and_panicked));
        assert_eq!((plain.get_or_load(&3, || 3), plain.get(&3)), (3, Some(3)));
    });
}

#[test]
fn a_share_that_panics_hangs_nobody() {
    in_time(|| {
        #[derive(Debug)]
        struct Unclonable;
        impl Clone for Unclonable {
            fn clone(&self) -> Self {
                panic!("the error's clone")
            }
        }
        let cache: Cache<u64, u64> = Cache::builder("bad").wait_timeout(Duration::MAX).build().unwrap();
        let gate = Gate::default();
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        cache.fetch(&1).load_blocking(Share::cloned(), |_| {
                            gate.pass_blocking();
                            Err::<u64, _>(Unclonable)
                        })
                    })
                })
                .collect();
            until_blocking("all but one wait", || cache.stats().waits == 3);
            gate.open();
            for caller in callers {
                assert!(caller.join().is_err(), "each ran its own body, and met its own panic");
            }
        });
        assert_eq!(cache.blocking().get_or_load(&1, || 1), 1);
    });
}

/// The functions of [`a_drop_that_panics_keeps_no_other_key_from_being_evicted`].
mod evicting {
    use super::Value;
    use hybridcache::{cache_evict, cached};

    #[cached]
    pub(super) fn first(id: u64) -> Value {
        Value::new(id)
    }

    #[cached]
    pub(super) fn second(id: u64) -> Value {
        Value::new(id)
    }

    #[cache_evict(first(id), named("third", id), second(id))]
    pub(super) fn write(id: u64, fails: bool) -> u64 {
        assert!(!fails, "the body panics");
        id
    }
}

#[test]
fn a_drop_that_panics_keeps_no_other_key_from_being_evicted() {
    in_time(|| {
        let third: Cache<u64, Value> = Cache::builder("third").build().unwrap();
        for fails in [false, true] {
            let values = [evicting::first(1), evicting::second(1)];
            let value = Value::new(1);
            let third_drop = Arc::clone(&value.on_drop);
            third.blocking().insert(&1, value).unwrap();
            values.iter().map(|value| &value.on_drop).chain([&third_drop]).for_each(|drop| {
                drop.store(true, Ordering::SeqCst);
            });
            // Those of this test are not to be the ones that panic.
            values.into_iter().for_each(std::mem::forget);
            assert_eq!(panics(|| evicting::write(1, fails)), fails, "what was written is returned");
            assert_eq!((evicting::first::cache().len(), evicting::second::cache().len(), third.len()), (0, 0, 0));
        }

        let cache: Cache<u64, Value> = Cache::builder("many").build().unwrap();
        let plain = cache.blocking();
        let fill = || {
            for key in 0..10 {
                let value = Value::new(key);
                value.on_drop.store(key % 3 == 0, Ordering::SeqCst);
                plain.insert(&key, value).unwrap();
            }
        };
        fill();
        plain.evict_many(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        assert!(cache.is_empty());
        fill();
        let keys: Vec<u64> = (0..10).collect();
        assert_eq!(block_on(cache.guarded_write(&keys, async || 7)), Ok(7));
        assert!(cache.is_empty());
        still_works(&cache);
    });
}

/// What it loaded takes the place of what has ended, which is found by the key.
#[test]
fn a_key_that_panics_as_its_load_ends_lets_go_of_those_who_wait() {
    in_time(|| {
        let clock = Clock::manual();
        let builder = Cache::builder("landing").ttl(SECOND).wait_timeout(Duration::MAX).clock(clock.clone());
        let cache: Cache<Key, u64> = builder.build().unwrap();
        cache.blocking().insert(&Key(2), 1).unwrap();
        clock.advance(2 * SECOND);
        let gate = Gate::default();
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| {
                cache.blocking().get_or_load(&Key(2), || {
                    gate.pass_blocking();
                    BAD_KEY.set(true);
                    2
                })
            });
            until_blocking("it leads", || gate.arrived() == 1);
            let waiter = scope.spawn(|| cache.blocking().get_or_load(&Key(2), || 3));
            until_blocking("the other waits", || cache.stats().waits == 1);
            gate.open();
            assert!(leader.join().is_err(), "it was its key");
            assert_eq!(waiter.join().unwrap(), 3);
        });
    });
}
