//! Methods with `#[cached]`: keys that say which object, caches that belong to one, and traits.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hybridcache::{Cache, CacheManager, cache_evict, cached};
use hybridcache_tests::{Gate, Runs, until};

/// What the methods read: a table for each tenant.
#[derive(Debug, Default)]
struct Repo {
    tenant: u64,
    runs: Runs,
}

impl Repo {
    fn of(tenant: u64) -> Self {
        Self { tenant, runs: Runs::default() }
    }

    fn read(&self, id: u64) -> String {
        format!("{}/{id}/{}", self.tenant, self.runs.run())
    }

    #[cached(key(tenant: u64 = self.tenant, id))]
    pub async fn by_tenant(&self, id: u64) -> Result<String, String> {
        tokio::task::yield_now().await;
        Ok(self.read(id))
    }

    #[cached(skip(self))]
    pub fn for_all(&self, id: u64) -> String {
        self.read(id)
    }

    #[cached(key(tenant: u64 = self.tenant, id))]
    pub(crate) async fn shared(self: &Arc<Self>, id: u64) -> String {
        self.read(id)
    }

    #[cached(key(tenant: u64 = self.tenant, id))]
    pub fn owned(self: Arc<Self>, id: u64) -> String {
        self.read(id)
    }

    #[cached(handle = Self)]
    pub fn without_self(id: u64, text: &str) -> String {
        format!("{id}{text}")
    }

    #[cached(skip(runs), handle = Self)]
    pub async fn constructor(id: u64, runs: &Runs) -> u64 {
        runs.run() + id
    }

    #[cached(key(tenant: u64 = self.tenant), handle = whole)]
    async fn private(&self) -> Option<String> {
        Some(self.read(0))
    }

    #[cached(skip(self), handle = false, name = "no companions")]
    pub async fn alone(&self, id: u64) -> Result<String, String> {
        if id == 0 {
            return Err("zero".to_owned());
        }
        Ok(self.read(id))
    }

    #[cached(skip(self))]
    pub async fn itself(&self, id: u64) -> Same {
        Same(self.read(id))
    }

    #[cached(skip(self))]
    pub fn generic<T: fmt::Debug + Clone + std::hash::Hash + Eq + Send + Sync + 'static>(&self, value: T) -> String {
        format!("{value:?}{}", self.runs.run())
    }

    #[cached(key(id), when = !fresh)]
    pub async fn bypassing(&self, id: u64, fresh: bool) -> String {
        self.read(id)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Same(String);

#[tokio::test]
async fn a_key_may_say_which_object() {
    let (one, other) = (Repo::of(1), Repo::of(2));
    for _ in 0..2 {
        assert_eq!(one.by_tenant(7).await.unwrap(), "1/7/1");
        assert_eq!(other.by_tenant(7).await.unwrap(), "2/7/1");
    }
    let again = Repo::of(1);
    assert_eq!(again.by_tenant(7).await.unwrap(), "1/7/1", "the same tenant by another object");
    assert_eq!(one.by_tenant_key(&7), (1, 7));
    let cache: Cache<(u64, u64), String> = Repo::by_tenant_cache();
    assert_eq!(cache.get((&2, &7)).await.as_deref(), Some("2/7/1"));
    assert!(cache.name().ends_with("Repo::by_tenant"), "{}", cache.name());
}

#[tokio::test]
async fn without_self_in_the_key_all_objects_share() {
    let (one, other) = (Repo::of(3), Repo::of(4));
    assert_eq!((one.for_all(7), other.for_all(7)), ("3/7/1".to_owned(), "3/7/1".to_owned()));
    assert_eq!(Repo::for_all_key(&7), 7);
    Repo::for_all_cache().blocking().evict(&7).unwrap();
    assert_eq!(other.for_all(7), "4/7/1");
}

#[tokio::test]
async fn any_receiver_and_none_is_fine() {
    let repo = Arc::new(Repo::of(5));
    for _ in 0..2 {
        assert_eq!(repo.shared(1).await, "5/1/1");
        assert_eq!(Arc::clone(&repo).owned(1), "5/1/2");
        assert_eq!(Repo::without_self(1, "x"), "1x");
        assert_eq!(Repo::constructor(10, &repo.runs).await, 13);
        assert_eq!(repo.private().await.as_deref(), Some("5/0/4"));
        assert_eq!(repo.itself(1).await, Same("5/1/5".to_owned()));
    }
    assert_eq!(repo.runs.count(), 5);
    assert_eq!(Repo::whole_cache().stats().hits, 1);
    assert_eq!(repo.whole_key(), 5);
    assert_eq!(Repo::constructor_key(&10), 10);
    assert_eq!(Repo::without_self_cache().stats().hits, 1);
}

#[tokio::test]
async fn generic_methods_have_a_store_for_each_instance() {
    let repo = Repo::of(6);
    for _ in 0..2 {
        assert_eq!(
            (repo.generic(7_u8), repo.generic(7_u64), repo.generic("7")),
            ("71".to_owned(), "72".to_owned(), "\"7\"3".to_owned())
        );
    }
    assert_eq!(Repo::generic_cache::<u8>().stats().loads, 1);
    assert_ne!(Repo::generic_cache::<u8>().name(), Repo::generic_cache::<u64>().name());
}

#[tokio::test]
async fn a_method_without_companions_is_found_by_its_name() {
    let repo = Repo::of(7);
    for _ in 0..2 {
        assert_eq!(repo.alone(1).await.unwrap(), "7/1/1");
        assert_eq!(repo.alone(0).await.unwrap_err(), "zero");
    }
    let cache: Cache<u64, String> = CacheManager::current().cache("no companions").unwrap();
    assert_eq!((cache.stats().hits, cache.stats().load_failures), (1, 2));
}

#[tokio::test]
async fn when_may_send_a_call_past_the_cache() {
    let repo = Repo::of(8);
    assert_eq!(repo.bypassing(1, true).await, "8/1/1");
    assert_eq!(repo.bypassing(1, false).await, "8/1/2");
    assert_eq!(repo.bypassing(1, false).await, "8/1/2");
    assert_eq!(repo.bypassing(1, true).await, "8/1/3");
    assert_eq!((Repo::bypassing_cache().stats().bypassed, Repo::bypassing_cache().stats().hits), (2, 1));
}

/// An object with caches of its own: an instance for each, which ends with it.
struct Shop {
    products: Cache<u64, String>,
    counts: Arc<Cache<String, usize>>,
    runs: Runs,
}

impl Shop {
    fn new() -> Self {
        Self {
            products: Cache::builder("products").ttl(Duration::from_secs(60)).build().unwrap(),
            counts: Arc::new(Cache::builder("counts").build().unwrap()),
            runs: Runs::default(),
        }
    }

    #[cached(cache = self.products, skip(self))]
    pub async fn product(&self, id: u64) -> Result<String, String> {
        Ok(format!("product {id}, run {}", self.runs.run()))
    }

    #[cached(cache = &*self.counts, key(text))]
    pub fn count(&self, text: &str) -> usize {
        self.runs.run();
        text.len()
    }

    #[cache_evict(self.product(id), self.count(..))]
    pub async fn rename(&self, id: u64) -> Result<(), String> {
        if id == 0 { Err("no such product".to_owned()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn each_object_may_have_its_own_cache() {
    let (one, other) = (Shop::new(), Shop::new());
    for _ in 0..2 {
        assert_eq!(one.product(7).await.unwrap(), "product 7, run 1");
        assert_eq!(other.product(7).await.unwrap(), "product 7, run 1");
        assert_eq!(one.count("abc"), 3);
    }
    assert_eq!((one.runs.count(), other.runs.count()), (2, 1));
    assert_eq!(one.product_cache().peek(&7).await.as_deref(), Some("product 7, run 1"));
    assert_eq!(one.count_cache().peek("abc").await, Some(3));
    assert_eq!(Shop::product_key(&7), 7);
    assert!(one.rename(0).await.is_err());
    assert_eq!(one.product_cache().len(), 1);
    one.rename(7).await.unwrap();
    assert_eq!((one.product_cache().len(), one.count_cache().len(), other.product_cache().len()), (0, 0, 1));
}

/// A generic type: its methods have a store for each instance of the type.
struct Typed<T> {
    value: T,
    runs: Runs,
}

impl<T: fmt::Display + Clone + Send + Sync + 'static> Typed<T> {
    #[cached(skip(self))]
    pub async fn shown(&self, id: u64) -> String {
        format!("{} {id} {}", self.value, self.runs.run())
    }

    #[cached(skip(self))]
    pub fn held(&self) -> T {
        self.runs.run();
        self.value.clone()
    }

    #[cache_evict(self.shown(id), Self::held())]
    pub async fn change(&self, id: u64) {}
}

#[tokio::test]
async fn instances_of_a_generic_type_do_not_meet() {
    let (number, text) = (Typed { value: 7, runs: Runs::default() }, Typed { value: "7", runs: Runs::default() });
    for _ in 0..2 {
        assert_eq!((number.shown(1).await, text.shown(1).await), ("7 1 1".to_owned(), "7 1 1".to_owned()));
        assert_eq!((number.held(), text.held()), (7, "7"));
    }
    assert_eq!((number.runs.count(), text.runs.count()), (2, 2));
    number.change(1).await;
    assert_eq!((Typed::<i32>::shown_cache().len(), Typed::<&str>::shown_cache().len()), (0, 1));
    assert_eq!((Typed::<i32>::held_cache().len(), Typed::<&str>::held_cache().len()), (0, 1));
}

trait Native {
    fn fetch(&self, id: u64) -> impl Future<Output = Result<String, String>> + Send;
    fn plain(&self, text: &str) -> usize;
}

#[async_trait]
trait Boxed: Send + Sync {
    async fn fetch_boxed(&self, id: u64, text: &str) -> Result<String, String>;
    async fn fetch_below(&self, id: u64) -> Option<u64>;
    async fn by_default(&self, id: u64) -> u64 {
        id
    }
}

struct Db {
    tenant: u64,
    runs: Runs,
}

impl Native for Db {
    #[cached(key(tenant: u64 = self.tenant, id), name = "native")]
    async fn fetch(&self, id: u64) -> Result<String, String> {
        if id == 0 {
            return Err("zero".to_owned());
        }
        tokio::task::yield_now().await;
        Ok(format!("{}/{id}/{}", self.tenant, self.runs.run()))
    }

    #[cached(skip(self))]
    fn plain(&self, text: &str) -> usize {
        self.runs.run();
        text.len()
    }
}

#[async_trait]
impl Boxed for Db {
    // Below `async_trait` on the impl, this sees the method as that rewrote it.
    #[cached(key(tenant: u64 = self.tenant, id, text), name = "boxed")]
    async fn fetch_boxed(&self, id: u64, text: &str) -> Result<String, String> {
        if id == 0 {
            return Err("zero".to_owned());
        }
        tokio::task::yield_now().await;
        Ok(format!("{text}/{id}/{}", self.runs.run()))
    }

    #[cached(skip(self), cache_none, name = "below")]
    async fn fetch_below(&self, id: u64) -> Option<u64> {
        self.runs.run();
        (id > 0).then_some(id)
    }

    #[cache_evict(named("boxed", self.tenant, id, "x"), named("below", ..))]
    async fn by_default(&self, id: u64) -> u64 {
        id + 1
    }
}

#[tokio::test]
async fn methods_of_native_traits() {
    let db = Db { tenant: 1, runs: Runs::default() };
    for _ in 0..2 {
        assert_eq!((db.fetch(7).await, db.fetch(0).await), (Ok("1/7/1".to_owned()), Err("zero".to_owned())));
        assert_eq!(db.plain("abc"), 3);
    }
    assert_eq!(db.runs.count(), 2);
    let cache: Cache<(u64, u64), String> = CacheManager::current().cache("native").unwrap();
    cache.evict((&1, &7)).await.unwrap();
    assert_eq!(db.fetch(7).await.unwrap(), "1/7/3");
}

#[tokio::test]
async fn methods_of_boxed_traits() {
    let db: Box<dyn Boxed> = Box::new(Db { tenant: 2, runs: Runs::default() });
    for _ in 0..2 {
        assert_eq!(db.fetch_boxed(7, "x").await, Ok("x/7/1".to_owned()));
        assert_eq!(db.fetch_boxed(0, "x").await, Err("zero".to_owned()));
        assert_eq!((db.fetch_below(0).await, db.fetch_below(1).await), (None, Some(1)));
    }
    let cache: Cache<(u64, u64, String), String> = CacheManager::current().cache("boxed").unwrap();
    assert_eq!(cache.peek((&2, &7, "x")).await.as_deref(), Some("x/7/1"));
    assert_eq!(db.by_default(7).await, 8);
    assert_eq!(cache.peek((&2, &7, "x")).await, None, "evicted by its name");
    assert_eq!(CacheManager::current().cache::<u64, u64>("below").unwrap().len(), 0);
}

/// `#[async_trait]` beside the attribute on one method does not exist; on a trait it may also stand below.
#[tokio::test]
async fn callers_of_a_boxed_method_coalesce() {
    #[async_trait]
    trait Slow: Send + Sync {
        async fn slow(&self, id: u64) -> u64;
    }
    struct Real(Runs, Gate);
    #[async_trait]
    impl Slow for Real {
        #[cached(skip(self), name = "slow")]
        async fn slow(&self, id: u64) -> u64 {
            self.1.pass().await;
            self.0.run() + id
        }
    }

    let real = Arc::new(Real(Runs::default(), Gate::default()));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let real = Arc::clone(&real);
            tokio::spawn(async move { real.slow(10).await })
        })
        .collect();
    until("one is in", || real.1.arrived() == 1).await;
    let cache: Cache<u64, u64> = CacheManager::current().cache("slow").unwrap();
    until("the others wait", || cache.stats().waits == 99).await;
    real.1.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 11);
    }
    assert_eq!(real.0.count(), 1);
}

#[tokio::test]
async fn a_scope_has_stores_of_its_own_for_functions_and_methods() {
    #[cached(skip(runs))]
    async fn function(id: u64, runs: &Runs) -> u64 {
        runs.run() * 100 + id
    }

    let repo = Repo::of(9);
    let runs = Runs::default();
    assert_eq!(function(7, &runs).await, 107);
    assert_eq!(repo.by_tenant(1).await.unwrap(), "9/1/1");
    let scoped = async || {
        let manager = CacheManager::builder().build().await.unwrap();
        manager
            .scope(async {
                let own = function(7, &runs).await;
                tokio::task::yield_now().await;
                assert_eq!(function(7, &runs).await, own);
                let method = repo.by_tenant(1).await.unwrap();
                assert_eq!(repo.by_tenant(1).await.unwrap(), method);
                function::evict(&7).await.unwrap();
                assert_eq!(function::peek(&7).await, None);
                assert_eq!(function::stats().loads, 1);
                (own, method)
            })
            .await
    };
    let (first, second) = tokio::join!(scoped(), scoped());
    assert_eq!((first.0 + second.0, runs.count()), (207 + 307, 3));
    assert_ne!(first.1, second.1);
    assert_eq!(function(7, &runs).await, 107, "what happened in the scopes happened there");
    assert_eq!(repo.by_tenant(1).await.unwrap(), "9/1/1");
}

#[tokio::test]
async fn what_a_scope_held_is_given_back_with_its_manager() {
    #[cached(ttl = "60s", skip(value))]
    async fn held(_id: u64, value: &Arc<u64>) -> Arc<u64> {
        Arc::clone(value)
    }

    let value = Arc::new(7);
    let manager = CacheManager::builder().build().await.unwrap();
    manager
        .scope(async {
            for id in 0..100 {
                held(id, &value).await;
            }
        })
        .await;
    assert_eq!(Arc::strong_count(&value), 101);
    manager.shutdown().await;
    drop(manager);
    assert_eq!(Arc::strong_count(&value), 1);
}

/// Objects that are made at run time, by whoever they belong to.
#[tokio::test]
async fn caches_may_be_chosen_by_tenant() {
    struct Tenants(HashMap<u64, Cache<u64, String>>);
    impl Tenants {
        #[cached(cache = self.0[&tenant], key(id), handle = false)]
        async fn load(&self, tenant: u64, id: u64) -> String {
            format!("{tenant}/{id}")
        }
    }

    let build = |tenant| (tenant, Cache::builder("of a tenant").build().unwrap());
    let tenants = Tenants([1, 2].map(build).into());
    assert_eq!((tenants.load(1, 7).await, tenants.load(2, 7).await), ("1/7".to_owned(), "2/7".to_owned()));
    assert_eq!(tenants.0[&1].peek(&7).await.as_deref(), Some("1/7"));
    assert_eq!(tenants.0[&2].peek(&7).await.as_deref(), Some("2/7"));
}
