//! Several attributes on one function, in any order.
use hybridcache::{cache_evict, cache_put, cached};
use hybridcache_tests::block_on;

#[cached]
async fn user(id: u64) -> String {
    id.to_string()
}

#[cached]
async fn page(id: u64, lang: &str) -> String {
    format!("{id}{lang}")
}

#[cached]
fn count() -> u64 {
    1
}

#[cache_evict(page(id, "en"))]
#[cache_put(user(id) = result.clone())]
#[cache_evict(count(), before = true)]
async fn rename(id: u64, name: String) -> Result<String, std::io::Error> {
    if name.is_empty() {
        return Err(std::io::Error::other("no name"));
    }
    Ok(name)
}

#[cached]
#[cache_evict(page(..), on = always)]
async fn report(id: u64) -> Option<u64> {
    (id > 0).then_some(id)
}

#[cache_evict(page(..))]
#[cached]
async fn summary(id: u64) -> u64 {
    id
}

#[cache_put(user(id) = result.map_or("nobody".to_owned(), |id| id.to_string()))]
async fn find(id: u64) -> Result<Option<u64>, String> {
    Ok((id > 1).then_some(id))
}

fn main() {
    block_on(async {
        user(1).await;
        page(1, "en").await;
        count();
        rename(1, String::new()).await.unwrap_err();
        assert_eq!(count::peek(), None, "evicted before");
        assert_eq!(page::peek(&1, "en").await.as_deref(), Some("1en"), "it failed");
        rename(1, "Ada".to_owned()).await.unwrap();
        assert_eq!(page::peek(&1, "en").await, None);
        assert_eq!(user(1).await, "Ada");
        page(1, "en").await;
        assert_eq!(report(0).await, None);
        assert_eq!(page::peek(&1, "en").await, None, "always");
        assert_eq!(report(1).await, Some(1));
        page(1, "en").await;
        assert_eq!(report(1).await, Some(1));
        assert_eq!(page::peek(&1, "en").await, None, "in this order, too: a hit is a call that succeeded");
        page(1, "en").await;
        summary(1).await;
        assert_eq!(page::peek(&1, "en").await, None, "the body ran");
        page(1, "en").await;
        summary(1).await;
        assert_eq!(page::peek(&1, "en").await.as_deref(), Some("1en"), "in the other order a hit changes nothing");
        assert_eq!((find(1).await, find(2).await), (Ok(None), Ok(Some(2))));
        assert_eq!((user(1).await, user(2).await), ("nobody".to_owned(), "2".to_owned()), "an `Ok` is a success");
    });
}
