//! Every verb of a handle, plain and async.
use hybridcache::{Evicted, cached};
use hybridcache_tests::block_on;

#[cached]
async fn user(id: u64, lang: &str) -> Result<String, std::io::Error> {
    Ok(format!("{id}{lang}"))
}

#[cached]
fn order(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {
    block_on(async {
        user(1, "en").await.unwrap();
        assert_eq!(user::peek(&1, "en").await.as_deref(), Some("1en"));
        user::put(&1, "en", "put".to_owned()).await.unwrap();
        assert_eq!(user(1, "en").await.unwrap(), "put");
        user::write(&1, "en").await.unwrap().put("written".to_owned()).await.unwrap();
        assert_eq!(user(1, "en").await.unwrap(), "written");
        assert_eq!(user::refresh(1, "en").await.unwrap(), "1en");
        assert_eq!(user::uncached(2, "en").await.unwrap(), "2en");
        assert_eq!(user::peek(&2, "en").await, None);
        assert_eq!(user::evict(&1, "en").await.unwrap(), Evicted::Acknowledged);
        assert_eq!(user::peek(&1, "en").await, None);
        user(1, "en").await.unwrap();
        user::clear().await.unwrap();
        assert!(user::cache().is_empty());
        assert_eq!((user::key(&1, "en"), user::stats().hits), ((1, "en".to_owned()), 2));
    });
    order(1);
    order::put(&1, "put".to_owned()).unwrap();
    assert_eq!(order(1).as_deref(), Some("put"));
    order::write(&1).unwrap().put_blocking("written".to_owned()).unwrap();
    assert_eq!(order::peek(&1).as_deref(), Some("written"));
    assert_eq!((order::refresh(1), order::uncached(2)), (Some("1".to_owned()), Some("2".to_owned())));
    order::evict(&1).unwrap();
    order::clear().unwrap();
    assert_eq!((order::peek(&1), order::key(&1), order::stats().hits), (None, 1, 1));
}
