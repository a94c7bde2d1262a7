//! Functions that return a future without being `async`: boxed or not, by one way out or several, from a macro.
use std::future::Future;
use std::pin::Pin;

use hybridcache::{cache_evict, cached};
use hybridcache_tests::on_tokio;

#[cached]
fn user<'a>(id: u64, lang: &'a str) -> Pin<Box<dyn Future<Output = Result<String, std::io::Error>> + Send + 'a>> {
    Box::pin(async move { Ok(format!("{id}{lang}")) })
}

#[cached]
fn order(id: u64) -> std::pin::Pin<std::boxed::Box<dyn std::future::Future<Output = u64> + Send>> {
    Box::pin(async move { if id == 0 { 0 } else { order(id - 1).await + 1 } })
}

#[cache_evict(user(id, "en"))]
fn rename(id: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {})
}

#[cached]
fn unboxed<'a>(id: u64, lang: &'a str) -> impl Future<Output = Result<String, std::io::Error>> + Send + use<'a> {
    async move { Ok(format!("{id}{lang}")) }
}

#[cache_evict(user(id, "en"))]
fn fails(id: u64) -> impl Future<Output = Result<(), String>> + Send {
    async move { Err(user::peek(&id, "en").await.unwrap()) }
}

macro_rules! evicting {
    ($name:ident -> $returned:ty) => {
        #[cache_evict(user(id, "en"))]
        fn $name(id: u64) -> $returned {
            if id == 0 {
                return Box::pin(async { None });
            }
            Box::pin(async move { user::peek(&id, "en").await })
        }
    };
}

evicting!(rename_kept -> Pin<Box<dyn Future<Output = Option<String>> + Send>>);

trait Users {
    fn user(&self, id: u64) -> impl Future<Output = u64> + Send;
    fn rename(&self, id: u64) -> impl Future<Output = ()> + Send;
}

struct Db(u64);

impl Db {
    #[cached(skip(self))]
    fn either(&self, id: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
        if id == 0 {
            return Box::pin(async { 0 });
        }
        Box::pin(async move { id })
    }
}

impl Users for Db {
    #[cached(skip(self))]
    fn user(&self, id: u64) -> impl Future<Output = u64> + Send {
        async move { self.0 + id }
    }

    #[cache_evict(user(id, "en"))]
    fn rename(&self, id: u64) -> impl Future<Output = ()> + Send {
        async move { assert!(self.0 > 0 && user::peek(&id, "en").await.is_some()) }
    }
}

fn main() {
    on_tokio(1, async || {
        for _ in 0..2 {
            assert_eq!(user(1, "en").await.unwrap(), "1en");
            assert_eq!(tokio::spawn(order(5)).await.unwrap(), 5);
        }
        assert_eq!(user::stats().hits, 1);
        tokio::spawn(rename(1)).await.unwrap();
        assert_eq!(user::peek(&1, "en").await, None);
        user(1, "en").await.unwrap();
        assert_eq!(fails(1).await.unwrap_err(), "1en", "nothing is evicted before the body");
        assert!(user::peek(&1, "en").await.is_some(), "nor after it failed");
        assert_eq!((rename_kept(0).await, rename_kept(1).await.as_deref()), (None, Some("1en")));
        assert_eq!(user::peek(&1, "en").await, None);
        user(1, "en").await.unwrap();
        tokio::spawn(async { Db(1).rename(1).await }).await.unwrap();
        assert_eq!(user::peek(&1, "en").await, None);
        for _ in 0..2 {
            assert_eq!((unboxed(1, "en").await.unwrap(), Users::user(&Db(1), 1).await), ("1en".to_owned(), 2));
            assert_eq!((Db(1).either(0).await, Db(1).either(1).await), (0, 1));
        }
        assert_eq!(unboxed::stats().hits, 1);
    });
}
