//! What nobody should do, and what becomes of it: an error that names the option, or a cache that goes on to work.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hybridcache::{Builder, Cache, Clock, Error, Outcome, Share};
use hybridcache_tests::{Gate, Runs, SECOND, block_on, in_time, poll_once, until_blocking};

fn builder() -> Builder<u64, u64> {
    Cache::builder("bad")
}

/// The option that the error names.
fn refused(builder: Builder<u64, u64>) -> &'static str {
    let error = builder.build().unwrap_err();
    let Error::Option { cache, option, reason } = &error else { panic!("{error}") };
    assert_eq!(cache, "bad");
    assert!(!reason.is_empty());
    let text = error.to_string();
    assert!(text.contains("`bad`") && text.contains(&format!("`{option}`")), "{text}");
    option
}

#[test]
fn each_option_that_makes_no_sense_is_named() {
    let zero = Duration::ZERO;
    assert_eq!(refused(builder().ttl(zero)), "ttl");
    assert_eq!(refused(builder().sliding(zero)), "sliding");
    assert_eq!(refused(builder().sliding(SECOND).max_age(zero)), "max_age");
    assert_eq!(refused(builder().none_ttl(zero)), "none_ttl");
    assert_eq!(refused(builder().err_ttl(zero)), "err_ttl");
    assert_eq!(refused(builder().sweep_interval(zero)), "sweep_interval");
    assert_eq!(refused(builder().capacity(0)), "capacity");
    assert_eq!(refused(builder().max_weight(0).weigher(|_, _| 1)), "max_weight");
    assert_eq!(refused(builder().max_weight(1).max_entry_weight(0).weigher(|_, _| 1)), "max_entry_weight");
    assert_eq!(refused(builder().max_weight(10).max_entry_weight(11).weigher(|_, _| 1)), "max_entry_weight");
    assert_eq!(refused(builder().max_entry_weight(1)), "max_entry_weight");
    assert_eq!(refused(builder().capacity(1).max_weight(1).weigher(|_, _| 1)), "capacity");
    assert_eq!(refused(builder().max_weight(1)), "max_weight");
    assert_eq!(refused(builder().weigher(|_, _| 1)), "weigher");
    assert_eq!(refused(builder().max_age(SECOND)), "max_age");
    assert_eq!(refused(builder().max_age(SECOND).ttl(SECOND)), "max_age");
    for jitter in [-0.1, 1.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(refused(builder().ttl(SECOND).jitter(jitter)), "jitter", "{jitter}");
    }
    for fraction in [0.0, -0.0, 1.0, -1.0, 7.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(builder().ttl(SECOND).refresh_ahead(fraction)), "refresh_ahead", "{fraction}");
    }
    assert_eq!(refused(builder().refresh_ahead(0.5)), "refresh_ahead");
}

#[test]
fn the_edges_of_what_makes_sense_are_taken() {
    let built = |builder: Builder<u64, u64>| {
        let cache = builder.build().unwrap();
        cache.blocking().insert(&1, 1).unwrap();
        assert_eq!(cache.blocking().get(&1), Some(1));
    };
    built(builder().jitter(0.0));
    built(builder().jitter(0.999_999).ttl(Duration::from_secs(1_000_000)));
    built(builder().ttl(SECOND).refresh_ahead(f64::MIN_POSITIVE));
    built(builder().max_weight(1).max_entry_weight(1).weigher(|_, _| 1));
    built(builder().wait_timeout(Duration::ZERO));
    built(builder().wait_timeout(Duration::MAX));
    built(builder().sweep_interval(Duration::MAX).ttl(SECOND));
    built(builder().sweep_interval(Duration::from_nanos(1)).ttl(SECOND * 1_000));
    built(builder().version(u32::MAX));
    built(Cache::builder(""));
}

#[tokio::test]
async fn the_longest_lifetimes_do_not_overflow() {
    for clock in [Clock::manual(), Clock::kernel(), Clock::precise()] {
        let longest = [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_nanos(u64::MAX - 1)];
        for longest in longest {
            let cache: Cache<u64, u64> = Cache::builder("longest")
                .ttl(longest)
                .sliding(longest)
                .max_age(longest)
                .none_ttl(longest)
                .err_ttl(longest)
                .jitter(0.5)
                .refresh_ahead(0.5)
                .clock(clock.clone())
                .build()
                .unwrap();
            cache.insert(&1, 1).await.unwrap();
            cache.insert_with(&2, 2, |context| context.ttl(longest)).await.unwrap();
            cache.get_or_load(&3, || async { None::<u64> }).await;
            clock.advance(Duration::from_secs(1_000_000_000));
            assert_eq!(cache.get_many(&[1, 2]).await, [Some(1), Some(2)]);
            cache.sweep();
            assert_eq!(cache.len(), 3);
        }
    }
}

#[tokio::test]
async fn a_capacity_beyond_all_memory_is_no_reservation() {
    for capacity in [u64::MAX, u64::MAX / 2, 1 << 62, 1 << 40] {
        let cache: Cache<u64, u64> = Cache::builder("all").capacity(capacity).build().unwrap();
        for key in 0..1_000 {
            cache.insert(&key, key).await.unwrap();
        }
        assert_eq!((cache.len(), cache.get(&7).await), (1_000, Some(7)), "{capacity}");
        let cache: Cache<u64, u64> = Cache::builder("all").max_weight(capacity).weigher(|_, _| 1 << 20).build().unwrap();
        for key in 0..1_000 {
            cache.insert(&key, key).await.unwrap();
        }
        assert_eq!((cache.len(), cache.weight()), (1_000, 1_000 << 20), "{capacity}");
    }
}

#[tokio::test]
async fn a_weight_beyond_all_bounds_is_rejected_and_sums_do_not_overflow() {
    for max in [1_u64, 1 << 20, u64::MAX] {
        let cache: Cache<u64, u64> =
            Cache::builder("heaviest").max_weight(max).max_entry_weight(max).weigher(|_, weight| *weight).build().unwrap();
        for key in 0..100 {
            cache.insert(&key, u64::MAX).await.unwrap();
            cache.insert(&(key + 100), u64::from(u32::MAX)).await.unwrap();
            cache.insert(&(key + 200), 1).await.unwrap();
        }
        assert_eq!(cache.peek(&0).await, None, "heavier than any entry may be");
        assert_eq!(cache.peek(&299).await, Some(1), "of {max}");
        assert!(cache.weight() <= max);
    }
}

#[tokio::test]
async fn a_megabyte_is_a_key_like_any_other() {
    let cache: Cache<String, u64> = Cache::builder("long").build().unwrap();
    let key = "k".repeat(1 << 20);
    let mut other = key.clone();
    other.push('x');
    assert_eq!(cache.get_or_load(key.as_str(), || async { 1 }).await, 1);
    assert_eq!(cache.get_or_load(other.as_str(), || async { 2 }).await, 2);
    assert_eq!((cache.get(key.as_str()).await, cache.get(other.as_str()).await), (Some(1), Some(2)));
    cache.evict(key.as_str()).await.unwrap();
    assert_eq!((cache.get(key.as_str()).await, cache.get(other.as_str()).await), (None, Some(2)));
}

#[tokio::test]
async fn a_clock_that_goes_backwards_serves_nothing_past_its_end_and_frees_it() {
    for sliding in [false, true] {
        let clock = Clock::manual();
        let build = builder().clock(clock.clone()).sweep_interval(SECOND);
        let cache = if sliding { build.sliding(SECOND * 10) } else { build.ttl(SECOND * 10) }.build().unwrap();
        cache.insert(&1, 1).await.unwrap();
        clock.rewind(SECOND * 100);
        assert_eq!(cache.get(&1).await, Some(1));
        cache.sweep();
        let slow = cache.get_or_load(&2, || async {
            clock.rewind(SECOND * 100);
            2
        });
        assert_eq!(slow.await, 2);
        clock.rewind(Duration::MAX);
        cache.insert(&3, 3).await.unwrap();
        cache.get(&1).await;
        cache.sweep();
        assert_eq!(cache.get(&3).await, Some(3));
        clock.advance(SECOND * 10);
        assert_eq!(cache.get(&3).await, None);
        clock.advance(Duration::MAX);
        assert_eq!(cache.get_many(&[1, 2, 3]).await, [None, None, None]);
        clock.rewind(SECOND);
        cache.sweep();
        assert_eq!(cache.len(), 0, "sliding: {sliding}");
    }
}

#[test]
fn a_wait_of_zero_does_not_wait_and_one_of_the_longest_does() {
    in_time(|| {
        let none: Cache<u64, u64> = builder().wait_timeout(Duration::ZERO).build().unwrap();
        let mut leader = Box::pin(none.get_or_load(&1, std::future::pending::<u64>));
        assert!(poll_once(&mut leader).is_pending());
        let own = block_on(none.fetch(&1).load(Share::none(), |_| async { 2 }));
        assert_eq!((own.result, own.outcome), (2, Outcome::Uncached));

        let longest: Cache<u64, u64> = builder().wait_timeout(Duration::MAX).build().unwrap();
        let gate = Gate::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                longest.blocking().get_or_load(&1, || {
                    gate.pass_blocking();
                    1
                })
            });
            until_blocking("it leads", || gate.arrived() == 1);
            let waiter = scope.spawn(|| block_on(longest.fetch(&1).load(Share::none(), |_| async { 2 })));
            until_blocking("it waits", || longest.stats().waits == 1);
            gate.open();
            assert_eq!(waiter.join().unwrap().outcome, Outcome::Shared);
        });
    });
}

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

/// The leader clones the value once to keep it, and once more for those who wait; each of those clones what it is handed, but the last. Any of these may panic.
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
            assert!(panicked == 1 || left.load(Ordering::SeqCst) > 0, "the {nth}th clone: somebody heard of it if it was made");
            assert!(runs.count() <= 2);
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
        let calls: [Call<'_>; 5] = [
            ("evict", Box::new(|| drop(plain.evict(&1)))),
            ("insert", Box::new(|| plain.insert(&1, Value::new(8)).unwrap())),
            ("refresh", Box::new(|| drop(plain.refresh(&1, || Value::new(8))))),
            ("clear", Box::new(|| drop(plain.clear()))),
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
        let cache: Cache<u64, Value> = Cache::builder("background").ttl(interval).sweep_interval(interval).build().unwrap();
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
        assert!(!BAD_KEY.get() || self.0 % 2 == 0, "a hash panics");
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
                ("get", Box::new(|| drop(plain.get(&key)))),
                ("peek", Box::new(|| drop(plain.peek(&key)))),
                ("get_or_load", Box::new(|| drop(plain.get_or_load(&key, || 9)))),
                ("insert", Box::new(|| drop(plain.insert(&key, 9)))),
                ("refresh", Box::new(|| drop(plain.refresh(&key, || 9)))),
                ("evict", Box::new(|| drop(plain.evict(&key)))),
                ("write", Box::new(|| drop(plain.write(&key).unwrap().put_blocking(9)))),
            ];
            for (name, call) in calls {
                BAD_KEY.set(true);
                let panicked = panics(call);
                BAD_KEY.set(false);
                assert!(panicked, "{name} of {key:?}");
                let elsewhere = std::thread::scope(|scope| scope.spawn(|| plain.get_or_load(&key, || 8)).join().unwrap());
                assert!([key.0, 8, 9].contains(&elsewhere), "{name} of {key:?}: others go on: {elsewhere}");
                plain.evict(&key).unwrap();
                assert_eq!(plain.get_or_load(&key, || key.0), key.0, "{name} of {key:?}: no flight is left behind");
                assert_eq!(plain.get(&key), Some(key.0));
            }
        }
        assert_eq!(cache.len(), 2);
    });
}

/// All of its keys collide. It is slow, and it is right.
#[test]
fn keys_that_all_hash_alike_are_kept_apart() {
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Alike(u64);
    impl Hash for Alike {
        fn hash<H: Hasher>(&self, state: &mut H) {
            0_u8.hash(state);
        }
    }
    in_time(|| {
        let clock = Clock::manual();
        let cache: Cache<Alike, u64> =
            Cache::builder("alike").ttl(SECOND).sweep_interval(SECOND).capacity(10_000).clock(clock.clone()).build().unwrap();
        let plain = cache.blocking();
        for key in 0..200 {
            assert_eq!(plain.get_or_load(&Alike(key), || key), key);
        }
        for key in 0..200 {
            assert_eq!(plain.get(&Alike(key)), Some(key));
        }
        for key in (0..200).step_by(2) {
            plain.evict(&Alike(key)).unwrap();
        }
        for key in 0..200 {
            assert_eq!(plain.get(&Alike(key)), (key % 2 == 1).then_some(key));
        }
        clock.advance(SECOND * 3);
        cache.sweep();
        assert_eq!(cache.len(), 0, "they are swept too");
    });
}

#[test]
fn a_body_that_panics_leaves_what_was_there() {
    in_time(|| {
        let cache: Cache<u64, u64> = builder().build().unwrap();
        let plain = cache.blocking();
        plain.insert(&1, 1).unwrap();
        assert!(panics(|| plain.refresh(&1, || -> u64 { panic!("the body") })));
        assert_eq!(plain.get(&1), Some(1));
        assert!(panics(|| block_on(cache.get_many_or_load(&[1, 2], |_| async { panic!("the body") as Result<_, ()> }))));
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
        let cache: Cache<u64, u64> = builder().wait_timeout(Duration::MAX).build().unwrap();
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
