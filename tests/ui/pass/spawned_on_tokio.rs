//! The futures are `Send` where the bodies are, and work on every flavour.
use hybridcache::{cache_evict, cache_put, cached};
use hybridcache_tests::on_tokio;

#[cached(ttl = "60s")]
async fn user(id: u64, lang: &str) -> Result<String, std::io::Error> {
    tokio::task::yield_now().await;
    Ok(format!("{id}{lang}"))
}

#[cache_evict(user(id, "en"))]
async fn rename(id: u64) -> Result<(), std::io::Error> {
    tokio::task::yield_now().await;
    Ok(())
}

/// A value that is `Send` and not `Sync` can be returned beside what is put.
#[cache_put(user(id, "en") = format!("{}", result.get()))]
async fn update(id: u64) -> Result<std::cell::Cell<u64>, std::io::Error> {
    tokio::task::yield_now().await;
    Ok(id.into())
}

struct Users;

impl Users {
    #[cached(skip(self))]
    pub async fn order(&self, id: u64) -> Option<u64> {
        tokio::task::yield_now().await;
        Some(id)
    }
}

fn main() {
    for workers in [0, 2] {
        on_tokio(workers, async || {
            let tasks: Vec<_> = (0..20).map(|id| tokio::spawn(async move { user(id % 2, "en").await })).collect();
            for (id, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap().unwrap(), format!("{}en", id % 2));
            }
            tokio::spawn(rename(1)).await.unwrap().unwrap();
            assert_eq!(user::peek(&1, "en").await, None);
            tokio::spawn(update(1)).await.unwrap().unwrap();
            assert_eq!(tokio::spawn(user(1, "en")).await.unwrap().unwrap(), "1");
            let handles = (tokio::spawn(user::evict(&1, "en")), tokio::spawn(user::refresh(1, "en")));
            handles.0.await.unwrap().unwrap();
            handles.1.await.unwrap().unwrap();
            assert_eq!(tokio::spawn(async { Users.order(1).await }).await.unwrap(), Some(1));
        });
    }
}
