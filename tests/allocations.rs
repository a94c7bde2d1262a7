//! A hit allocates nothing: counted, on the thread that hits.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use hybridcache::{Cache, Key, Policy, Share, cached};
use hybridcache_tests::{POLICIES, block_on};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has nothing to count for.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: each call is the system allocator's own; counting touches a thread-local without a destructor and allocates
// nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often `work` allocates, once this thread has its stripe of the hit counters and whatever else it needs once.
fn allocations(mut work: impl FnMut()) -> u64 {
    for _ in 0..3 {
        work();
    }
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        work();
    }
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 100);
    assert_eq!(allocations(|| drop(std::hint::black_box(String::from("text")))), 100);
    assert_eq!(allocations(|| assert_eq!(std::hint::black_box(7), 7)), 0);
}

type Value = Arc<String>;

fn value() -> Value {
    Arc::new("a value".to_owned())
}

/// Every way of hitting this key in caches of each kind.
fn hits_allocate_nothing<Q: Key + Copy>(name: &str, key: Q) {
    POLICIES.into_iter().for_each(|policy| hits_of_a_policy_allocate_nothing(policy, name, key));
}

fn hits_of_a_policy_allocate_nothing<Q: Key + Copy>(policy: Policy, name: &str, key: Q) {
    let kinds = ["plain", "ttl", "sliding", "refresh ahead", "weighed", "single flight off"];
    for kind in kinds {
        let builder = Cache::<Q::Owned, Value>::builder("hits").policy(policy);
        let builder = match kind {
            "ttl" => builder.ttl(Duration::from_secs(1_000)),
            "sliding" => builder.sliding(Duration::from_secs(1_000)).max_age(Duration::from_secs(2_000)),
            "refresh ahead" => builder.ttl(Duration::from_secs(1_000)).refresh_ahead(0.9),
            "weighed" => builder.max_weight(1_000).weigher(|_, _| 7),
            "single flight off" => builder.single_flight(hybridcache::SingleFlight::Off),
            _ => builder,
        };
        let cache = builder.build().unwrap();
        let plain = cache.blocking();
        plain.insert(key, value()).unwrap();
        let none = |verb: &str, work: &mut dyn FnMut()| {
            assert_eq!(allocations(work), 0, "{verb} of {name}, {kind}, {policy:?}");
        };
        none("get", &mut || assert!(block_in_place(cache.get(key)).is_some()));
        none("peek", &mut || assert!(block_in_place(cache.peek(key)).is_some()));
        none("contains", &mut || assert!(block_in_place(cache.contains(key))));
        none("get_or_load", &mut || drop(block_in_place(cache.get_or_load(key, || async { value() }))));
        none("get_or_load of a result", &mut || {
            drop(block_in_place(cache.get_or_load(key, || async { Ok::<_, String>(value()) })));
        });
        none("get_or_load_with", &mut || drop(block_in_place(cache.get_or_load_with(key, |_| async { value() }))));
        none("fetch", &mut || {
            drop(block_in_place(
                cache.fetch(key).load(Share::<String>::cloned(), |_| async { Ok::<_, String>(value()) }),
            ));
        });
        none("plain get", &mut || assert!(plain.get(key).is_some()));
        none("plain get_or_load", &mut || drop(plain.get_or_load(key, value)));
        none("plain fetch", &mut || drop(cache.fetch(key).load_blocking(Share::none(), |_| value())));
        assert_eq!(cache.stats().loads, 0, "they were hits");
    }
}

/// Polls a future that is ready at once: a waker of its own would be an allocation of the test.
fn block_in_place<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("a hit does not wait"),
    }
}

#[test]
fn a_hit_allocates_nothing() {
    hits_allocate_nothing("u64", &7_u64);
    hits_allocate_nothing("&str", "a text that is long enough to be on the heap");
    hits_allocate_nothing("&[u8]", &b"bytes that are long enough to be on the heap"[..]);
    hits_allocate_nothing("(&str, u64)", ("a text that is long enough to be on the heap", &7_u64));
    hits_allocate_nothing("Option<&str>", Some("a text that is long enough to be on the heap"));
    hits_allocate_nothing("no Option<&str>", None::<&str>);
    hits_allocate_nothing("String", &"a text that is long enough to be on the heap".to_owned());
    hits_allocate_nothing("()", ());
    hits_allocate_nothing(
        "twelve",
        (&1_u64, &2_u64, "3", &4_u64, "5", &6_u64, &7_u64, "8", &9_u64, &10_u64, &11_u64, "12"),
    );
}

/// A policy may have more to do with a hit once it has had to choose: at first, when few have left, and later.
#[test]
fn a_hit_allocates_nothing_after_others_have_left() {
    for policy in POLICIES {
        for capacity in [1, 10, 100, 1_000, 5_000] {
            let cache: Cache<u64, u64> = Cache::builder("full").capacity(capacity).policy(policy).build().unwrap();
            let plain = cache.blocking();
            let mut keys = 0;
            for round in 1..=5 {
                while keys < round * capacity || cache.stats().evictions.capacity == 0 {
                    plain.insert(&keys, keys).unwrap();
                    keys += 1;
                }
                let held: Vec<u64> = (0..keys).filter(|key| plain.contains(key)).collect();
                let before = ALLOCATIONS.get();
                for key in held.iter().cycle().take(20_000) {
                    assert!(plain.get(key).is_some());
                }
                assert_eq!(ALLOCATIONS.get() - before, 0, "{policy:?}, {round} times {capacity} keys");
            }
        }
    }
}

#[test]
fn a_hit_of_nothing_allocates_nothing() {
    let cache: Cache<String, Value> = Cache::builder("nothing").cache_none(true).build().unwrap();
    let mut loads = 0;
    let none = allocations(|| {
        let nothing: Option<Value> = cache.blocking().get_or_load("a text that is long enough", || {
            loads += 1;
            None
        });
        assert!(nothing.is_none());
    });
    assert_eq!((none, loads), (0, 1));
}

#[test]
fn a_look_that_misses_allocates_nothing() {
    let cache: Cache<String, Value> = Cache::builder("misses").ttl(Duration::from_secs(1)).build().unwrap();
    assert_eq!(
        allocations(|| assert!(cache.blocking().get("a text that is long enough to be on the heap").is_none())),
        0
    );
    assert_eq!(
        allocations(|| assert!(cache.blocking().peek("a text that is long enough to be on the heap").is_none())),
        0
    );
}

#[test]
fn an_evict_of_what_is_absent_allocates_nothing() {
    let cache: Cache<String, Value> = Cache::builder("evicts").build().unwrap();
    assert_eq!(allocations(|| drop(cache.blocking().evict("a text that is long enough to be on the heap"))), 0);
}

#[test]
fn an_owned_key_is_built_for_a_load() {
    let cache: Cache<String, Value> = Cache::builder("loads").store_if(|_| false).build().unwrap();
    let value = value();
    let loads = allocations(|| {
        drop(block_on(cache.get_or_load("a text that is long enough", || async { Arc::clone(&value) })))
    });
    assert!((200..=1_200).contains(&loads), "a load builds its key, a flight and a boxed body: {loads} for a hundred");
}

/// The same, through `#[cached]`.
mod annotated {
    use std::sync::LazyLock;

    use super::*;

    const TEXT: &str = "a text that is long enough to be on the heap";
    static OWNED: LazyLock<String> = LazyLock::new(|| TEXT.to_owned());

    /// An async and a plain function of these arguments, with and without `sliding`, and their hits.
    macro_rules! hits {
        ($($test:ident($($argument:ident: $ty:ty = $value:expr),*);)*) => {
            $(
                #[test]
                fn $test() {
                    #[cached(ttl = "1h")]
                    async fn with_ttl($($argument: $ty),*) -> Value {
                        let _ = ($($argument,)*);
                        value()
                    }
                    #[cached(sliding = "1h", max_age = "2h")]
                    async fn with_sliding($($argument: $ty),*) -> Result<Value, String> {
                        let _ = ($($argument,)*);
                        Ok(value())
                    }
                    #[cached]
                    fn plain($($argument: $ty),*) -> Value {
                        let _ = ($($argument,)*);
                        value()
                    }
                    #[cached(ttl = "1h", sliding)]
                    fn plain_sliding($($argument: $ty),*) -> Option<Value> {
                        let _ = ($($argument,)*);
                        Some(value())
                    }
                    #[cached(ttl = "1h", refresh_ahead = 0.9)]
                    async fn ahead($($argument: $ty),*) -> Value {
                        let _ = ($($argument,)*);
                        value()
                    }

                    let none = |what: &str, work: &mut dyn FnMut()| {
                        assert_eq!(allocations(work), 0, "{what} of {}", stringify!($test));
                    };
                    none("async", &mut || drop(block_in_place(with_ttl($($value),*))));
                    none("async, sliding", &mut || drop(block_in_place(with_sliding($($value),*)).unwrap()));
                    none("plain", &mut || drop(plain($($value),*)));
                    none("plain, sliding", &mut || drop(plain_sliding($($value),*).unwrap()));
                    none("refresh ahead", &mut || drop(block_in_place(ahead($($value),*))));
                    let total = [with_ttl::stats(), with_sliding::stats(), plain::stats(), plain_sliding::stats(), ahead::stats()];
                    for stats in total {
                        assert_eq!((stats.loads, stats.hits), (1, 102), "they were hits");
                    }
                }
            )*
        };
    }

    hits! {
        of_a_number(id: u64 = 7);
        of_a_text(text: &str = TEXT);
        of_bytes(bytes: &[u8] = TEXT.as_bytes());
        of_a_pair(text: &str = TEXT, id: u64 = 7);
        of_a_tuple(pair: (&str, u64) = (TEXT, 7));
        of_an_option(maybe: Option<&str> = Some(TEXT));
        of_no_option(maybe: Option<&str> = None);
        of_nothing();
        of_a_borrowed_string(text: &String = &OWNED);
    }

    /// Then it is looked for where a miss would look again, with a key of its own.
    #[test]
    fn after_many_misses() {
        #[cached(ttl = "1h")]
        fn plain(id: u64) -> Value {
            let _ = id;
            value()
        }
        #[cached(sliding = "1h", max_age = "2h")]
        async fn with_sliding(id: u64) -> Result<Value, String> {
            let _ = id;
            Ok(value())
        }
        #[cached]
        fn of_a_text(text: &str) -> Value {
            let _ = text;
            value()
        }

        fn hits(call: impl Fn(u64)) -> u64 {
            call(0);
            let hit_after_misses = |row: u64| {
                (1..=100).for_each(|i| call(100 * row + i));
                let before = ALLOCATIONS.get();
                call(0);
                ALLOCATIONS.get() - before
            };
            (0..10).map(hit_after_misses).sum()
        }
        let names: Vec<String> = (0..=1_000).map(|id| format!("{TEXT}, {id}")).collect();
        assert_eq!(hits(|id| drop(plain(id))), 0);
        assert_eq!(hits(|id| drop(block_in_place(with_sliding(id)).unwrap())), 0);
        assert_eq!(hits(|id| drop(of_a_text(&names[id as usize]))), 0);
        for stats in [plain::stats(), with_sliding::stats(), of_a_text::stats()] {
            assert_eq!((stats.loads, stats.hits), (1_001, 10));
        }
    }

    #[test]
    fn of_a_method_with_a_key_of_its_own() {
        struct Repo {
            tenant: u64,
            cache: Cache<u64, Value>,
        }
        impl Repo {
            #[cached(key(tenant: u64 = self.tenant, id))]
            pub async fn user(&self, id: u64) -> Value {
                let _ = id;
                value()
            }

            #[cached(cache = self.cache, key(id))]
            pub fn own(&self, id: u64) -> Value {
                let _ = id;
                value()
            }
        }

        let repo = Repo { tenant: 1, cache: Cache::builder("own").build().unwrap() };
        assert_eq!(allocations(|| drop(block_in_place(repo.user(7)))), 0);
        assert_eq!(allocations(|| drop(repo.own(7))), 0);
    }

    #[test]
    fn of_a_generic_function() {
        #[cached]
        fn shown<T: std::fmt::Debug + Clone + std::hash::Hash + Eq + Send + Sync + 'static>(of: &T) -> Value {
            Arc::new(format!("{of:?}"))
        }

        assert_eq!(allocations(|| drop(shown(&7_u64))), 0);
        assert_eq!(allocations(|| drop(shown(&'x'))), 0);
    }
}
