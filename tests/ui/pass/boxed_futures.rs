//! Functions that return a boxed future without being `async`.
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

fn main() {
    on_tokio(1, async || {
        for _ in 0..2 {
            assert_eq!(user(1, "en").await.unwrap(), "1en");
            assert_eq!(tokio::spawn(order(5)).await.unwrap(), 5);
        }
        assert_eq!(user::stats().hits, 1);
        tokio::spawn(rename(1)).await.unwrap();
        assert_eq!(user::peek(&1, "en").await, None);
    });
}
