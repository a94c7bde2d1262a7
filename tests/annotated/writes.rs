//! `#[cache_evict]` and `#[cache_put]`: what they do, when, and what becomes of it when a writer fails, panics or
//! vanishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hybridcache::{Cache, CacheManager, cache_evict, cache_put, cached};
use hybridcache_tests::{Gate, on_tokio, poll_once};

#[tokio::test]
async fn a_success_evicts_and_a_failure_leaves_the_cache_alone() {
    cached_rows!();
    #[cache_evict(row(id, "en"), list(..))]
    async fn rename(id: u64, fail: bool) -> Result<u64, String> {
        if fail {
            return Err("not renamed".to_owned());
        }
        tokio::task::yield_now().await;
        Ok(id)
    }

    row(1, "en").await.unwrap();
    row(2, "en").await.unwrap();
    list(1);
    assert!(rename(1, true).await.is_err());
    assert_eq!((held!(1 2), list::peek(&1)), ([true, true], Some(vec![1])));
    assert_eq!(rename(1, false).await, Ok(1));
    assert_eq!((held!(1 2), list::peek(&1)), ([false, true], None));
}

#[tokio::test]
async fn what_is_kept_stays_until_the_body_has_succeeded() {
    cached_rows!();
    #[cache_evict(row(id, "en"))]
    async fn after(id: u64) {
        assert_eq!(held!(1), [true]);
    }
    #[cache_evict(row(id, "en"), before)]
    async fn before(id: u64) -> Result<(), String> {
        assert_eq!(held!(1), [false]);
        row(id, "en").await.unwrap();
        Err("failed".to_owned())
    }

    row(1, "en").await.unwrap();
    after(1).await;
    assert_eq!(held!(1), [false]);
    row(1, "en").await.unwrap();
    before(1).await.unwrap_err();
    assert_eq!(held!(1), [true], "before, and not after");
}

#[tokio::test]
async fn always_means_also_after_a_failure() {
    cached_rows!();
    #[cache_evict(row(id, "en"), on = always)]
    async fn always(id: u64) -> Result<(), String> {
        let _ = id;
        Err("perhaps committed".to_owned())
    }
    #[cache_evict(row(id, "en"), on = success)]
    async fn success(id: u64) -> Option<()> {
        let _ = id;
        None
    }

    row(1, "en").await.unwrap();
    assert_eq!(success(1).await, None);
    assert_eq!(held!(1), [true], "a `None` is no success");
    always(1).await.unwrap_err();
    assert_eq!(held!(1), [false]);
}

#[tokio::test]
async fn a_writer_that_is_dropped_midway_evicts() {
    cached_rows!();
    #[cache_evict(row(id, "en"), list(..))]
    async fn write(id: u64, gate: &Gate) -> Result<(), String> {
        let _ = id;
        gate.pass().await;
        Ok(())
    }

    row(1, "en").await.unwrap();
    list(1);
    let gate = Gate::default();
    let never_polled = write(1, &gate);
    drop(never_polled);
    assert_eq!((held!(1), list::peek(&1)), ([true], Some(vec![1])), "its body never began");
    let mut hung_up = Box::pin(write(1, &gate));
    assert!(poll_once(&mut hung_up).is_pending());
    assert_eq!(held!(1), [true]);
    drop(hung_up);
    assert_eq!(
        (held!(1), list::peek(&1)),
        ([false], None),
        "a client that hangs up after the commit leaves nothing old"
    );
}

#[tokio::test]
async fn a_writer_that_panics_evicts() {
    cached_rows!();
    #[cache_evict(row(id, "en"))]
    async fn panics(id: u64) -> Result<(), String> {
        let _ = id;
        panic!("after the commit")
    }
    #[cache_evict(list(page))]
    fn plain_panics(page: u64) -> Result<(), String> {
        let _ = page;
        panic!("after the commit")
    }

    row(1, "en").await.unwrap();
    assert!(tokio::spawn(panics(1)).await.unwrap_err().is_panic());
    assert_eq!(held!(1), [false]);
    list(1);
    assert!(std::panic::catch_unwind(|| plain_panics(1)).is_err());
    assert_eq!(list::peek(&1), None);
}

#[tokio::test]
async fn what_mentions_the_result_is_evicted_after_it_is_known() {
    cached_rows!();
    #[derive(Debug)]
    struct Created {
        id: u64,
        lang: String,
    }
    #[cache_evict(row(result.id, &result.lang), list(page))]
    async fn create(page: u64, fail: bool) -> Result<Created, String> {
        let _ = page;
        if fail { Err("not created".to_owned()) } else { Ok(Created { id: 3, lang: "en".to_owned() }) }
    }
    #[cache_evict(row(*result, "en"))]
    async fn plain_value(id: u64) -> u64 {
        id
    }
    #[cache_evict(row(*result, "en"))]
    fn optional(id: u64) -> Option<u64> {
        (id > 0).then_some(id)
    }

    for id in 0..6 {
        row(id, "en").await.unwrap();
    }
    list(9);
    create(9, true).await.unwrap_err();
    assert_eq!((held!(3), list::peek(&9)), ([true], Some(vec![9])));
    create(9, false).await.unwrap();
    assert_eq!((held!(3), list::peek(&9)), ([false], None));
    assert_eq!(plain_value(4).await, 4);
    assert_eq!(optional(5), Some(5));
    assert_eq!(optional(0), None);
    assert_eq!(held!(0 1 2 3 4 5), [true, true, true, false, false, false]);
}

#[tokio::test]
async fn arguments_may_be_moved_by_the_body() {
    cached_rows!();
    #[cached]
    async fn by_name(name: &str, tags: &[String]) -> u64 {
        (name.len() + tags.len()) as u64
    }
    #[cache_evict(by_name(&name, &tags), row(id + 1, "en"))]
    async fn moving(id: u64, name: String, tags: Vec<String>) -> Result<(String, Vec<String>), String> {
        let _ = id;
        Ok((name, tags))
    }

    by_name("a", &["b".to_owned()]).await;
    row(2, "en").await.unwrap();
    moving(1, "a".to_owned(), vec!["b".to_owned()]).await.unwrap();
    assert_eq!(by_name::cache().len() + row::cache().len(), 0);
}

#[tokio::test]
async fn several_stack_and_plain_functions_do_it_too() {
    cached_rows!();
    #[cache_evict(row(id, "en"))]
    #[cache_evict(list(id), on = always)]
    #[cache_evict(row(id, "de"), before)]
    async fn stacked(id: u64, fail: bool) -> Result<(), String> {
        assert_eq!(row::peek(&id, "de").await, None);
        if fail { Err("failed".to_owned()) } else { Ok(()) }
    }
    #[cache_evict(list(page), list(page + 1))]
    fn plain(page: u64) -> Result<(), String> {
        if page == 0 { Err("zero".to_owned()) } else { Ok(()) }
    }

    row(1, "en").await.unwrap();
    row(1, "de").await.unwrap();
    list(1);
    stacked(1, true).await.unwrap_err();
    assert_eq!((held!(1), list::peek(&1)), ([true], None));
    stacked(1, false).await.unwrap();
    assert_eq!(held!(1), [false]);
    list(0);
    list(1);
    list(2);
    plain(0).unwrap_err();
    assert_eq!(list::cache().len(), 3);
    plain(1).unwrap();
    assert_eq!((list::peek(&0), list::cache().len()), (Some(vec![0]), 1));
}

mod elsewhere {
    use hybridcache::cached;

    #[cached]
    pub(super) fn tripled(n: u64) -> u64 {
        n * 3
    }

    #[cached]
    pub(super) fn shown<T: std::fmt::Debug + Clone + std::hash::Hash + Eq + Send + Sync + 'static>(value: T) -> String {
        format!("{value:?}")
    }

    pub(super) struct Service;

    impl Service {
        #[cached(handle = Self)]
        pub(super) fn of(n: u64) -> u64 {
            n
        }
    }
}

#[test]
fn functions_elsewhere_generic_ones_and_methods_are_named_by_their_paths() {
    #[cache_evict(
        elsewhere::tripled(n),
        elsewhere::shown::<u64>(n),
        elsewhere::shown::<char>(..),
        <elsewhere::Service>::of(n)
    )]
    fn change(n: u64) {}

    elsewhere::tripled(1);
    elsewhere::tripled(2);
    elsewhere::shown(1_u64);
    elsewhere::shown(1_u8);
    elsewhere::shown('x');
    elsewhere::shown('y');
    elsewhere::Service::of(1);
    elsewhere::Service::of(2);
    change(1);
    assert_eq!((elsewhere::tripled::peek(&1), elsewhere::tripled::peek(&2)), (None, Some(6)));
    assert_eq!((elsewhere::shown::peek(&1_u64), elsewhere::shown::peek(&1_u8)), (None, Some("1".to_owned())));
    assert!(elsewhere::shown::cache::<char>().is_empty());
    assert_eq!(elsewhere::Service::of_cache().len(), 1);
}

struct Repo;

impl Repo {
    #[cached(skip(self))]
    pub async fn user(&self, id: u64) -> u64 {
        id
    }

    #[cache_evict(self.user(id))]
    pub async fn by_self(&self, id: u64) -> Result<(), String> {
        Ok(())
    }

    #[cache_evict(Self::user(id))]
    pub async fn by_type(&self, id: u64) -> Result<(), String> {
        Ok(())
    }

    #[cache_evict(<Repo>::user(..))]
    pub fn all(self: &Arc<Self>) {}

    #[cache_evict(self.user(result))]
    pub async fn of_result(&self, id: u64) -> Result<u64, String> {
        if id == 0 { Err("zero".to_owned()) } else { Ok(id) }
    }
}

#[tokio::test]
async fn methods_are_named_by_self_or_their_type() {
    let repo = Arc::new(Repo);
    let held = async |ids: [u64; 5]| {
        let mut held = Vec::new();
        for id in ids {
            held.push(Repo::user_cache().contains(&id).await);
        }
        held
    };
    for id in 0..5 {
        repo.user(id).await;
    }
    repo.by_self(1).await.unwrap();
    repo.by_type(2).await.unwrap();
    repo.of_result(0).await.unwrap_err();
    repo.of_result(3).await.unwrap();
    assert_eq!(held([0, 1, 2, 3, 4]).await, [true, false, false, false, true]);
    repo.all();
    assert_eq!(held([0, 1, 2, 3, 4]).await, [false; 5]);
}

#[tokio::test]
async fn a_cache_is_reached_by_its_name() {
    let cache: Cache<(u64, String), u64> = Cache::builder("by name").build().unwrap();
    let single: Cache<String, u64> = Cache::builder("single").build().unwrap();
    const NAME: &str = "single";
    #[cache_evict(named("by name", id, lang), named(NAME, lang), named("nobody has this name", id))]
    async fn one(id: u64, lang: &str) {}
    #[cache_evict(named("by name", ..), named("single", id))]
    fn all(id: u64) {}

    cache.insert((&1, "en"), 1).await.unwrap();
    cache.insert((&2, "en"), 2).await.unwrap();
    single.insert("en", 1).await.unwrap();
    one(1, "en").await;
    assert_eq!((cache.len(), single.len(), cache.peek((&2, "en")).await), (1, 0, Some(2)));
    single.insert("en", 1).await.unwrap();
    all(1);
    assert_eq!((cache.len(), single.len()), (0, 1), "a key of another type evicts nothing, and nobody panics");
}

#[tokio::test]
async fn evictions_by_name_belong_to_the_manager_of_the_call() {
    #[cache_evict(named("of a manager", ..))]
    async fn write() {}

    let manager = CacheManager::builder().build().await.unwrap();
    let inside: Cache<u64, u64> = Cache::builder("of a manager").manager(&manager).build().unwrap();
    let outside: Cache<u64, u64> = Cache::builder("of a manager").build().unwrap();
    inside.insert(&1, 1).await.unwrap();
    outside.insert(&1, 1).await.unwrap();
    manager.scope(write()).await;
    assert_eq!((inside.len(), outside.len()), (0, 1));
    write().await;
    assert_eq!(outside.len(), 0);
}

/// Whoever gives up a scope drops what it ran outside of it.
#[tokio::test]
async fn a_scope_that_is_dropped_midway_has_evicted_by_name_in_its_own_manager() {
    #[cache_evict(named("of a dropped scope", id), named("all of a dropped scope", ..))]
    async fn write(id: u64) {
        std::future::pending::<()>().await;
    }

    let manager = CacheManager::builder().build().await.unwrap();
    let build = |name: &'static str| Cache::<u64, u64>::builder(name).manager(&manager).build().unwrap();
    let (one, all) = (build("of a dropped scope"), build("all of a dropped scope"));
    for cache in [&one, &all] {
        cache.insert(&1, 1).await.unwrap();
        cache.insert(&2, 2).await.unwrap();
    }
    let mut scope = Box::pin(manager.scope(write(1)));
    assert!(hybridcache_tests::poll_once(&mut scope).is_pending());
    assert_eq!((one.len(), all.len()), (2, 2));
    drop(scope);
    assert_eq!((one.len(), one.peek(&2).await, all.len()), (1, Some(2), 0));
}

#[tokio::test]
async fn a_load_that_began_before_the_write_is_not_kept() {
    static DB: AtomicU64 = AtomicU64::new(1);
    #[cached(skip(gate))]
    async fn read(_id: u64, gate: &Gate) -> u64 {
        let read = DB.load(Ordering::SeqCst);
        gate.pass().await;
        read
    }
    #[cache_evict(read(id))]
    async fn write(id: u64) -> Result<(), String> {
        DB.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    let gate = Gate::default();
    let mut slow = Box::pin(read(7, &gate));
    assert!(poll_once(&mut slow).is_pending());
    write(7).await.unwrap();
    gate.open();
    assert_eq!(slow.await, 1, "it asked before");
    assert_eq!(read(7, &gate).await, 2);
}

#[test]
fn futures_of_writers_can_be_sent() {
    cached_rows!();
    // A cache of its own: what is evicted from `row` may be of the same group as a key that is known only afterwards.
    #[cached]
    async fn of_length(length: usize) -> Result<String, String> {
        Err(format!("none of {length}"))
    }
    #[cache_evict(row(id, &name), list(..))]
    #[cache_put(of_length(result.len()) = result.clone())]
    async fn write(id: u64, name: String) -> Result<String, String> {
        tokio::task::yield_now().await;
        Ok(name)
    }

    on_tokio(2, async || {
        let task = tokio::spawn(write(1, "abc".to_owned()));
        assert_eq!(task.await.unwrap().unwrap(), "abc");
        assert_eq!(of_length::peek(&3).await.as_deref(), Some("abc"));
    });
}
