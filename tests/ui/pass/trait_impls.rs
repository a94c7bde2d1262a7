//! Methods of trait impls: native `async fn`, and `#[async_trait]` above and below.
use async_trait::async_trait;
use hybridcache::{CacheManager, cache_evict, cached};
use hybridcache_tests::block_on;

trait Native {
    async fn user(&self, id: u64, lang: &str) -> Result<String, std::io::Error>;
    fn name(&self, id: u64) -> String;
}

#[async_trait]
trait Boxed: Sync {
    async fn order(&self, id: u64, lang: &str) -> Option<String>;
    async fn ship(&self, id: u64) -> Result<(), String>;
}

struct Shop;

impl Native for Shop {
    #[cached(skip(self), name = "native users")]
    async fn user(&self, id: u64, lang: &str) -> Result<String, std::io::Error> {
        if id == 0 {
            return Err(std::io::Error::other("nobody"));
        }
        Ok(format!("{id}{lang}"))
    }

    #[cached(key(id))]
    fn name(&self, id: u64) -> String {
        id.to_string()
    }
}

#[async_trait]
impl Boxed for Shop {
    #[cached(skip(self), name = "boxed orders")]
    async fn order(&self, id: u64, lang: &str) -> Option<String> {
        let lang = async { lang }.await;
        Some(format!("{id}{lang}"))
    }

    #[cache_evict(named("boxed orders", id, "en"), named("native users", ..))]
    async fn ship(&self, id: u64) -> Result<(), String> {
        if id == 0 {
            return Err("no order".to_owned());
        }
        Ok(())
    }
}

fn main() {
    block_on(async {
        for _ in 0..2 {
            assert_eq!(Shop.user(1, "en").await.unwrap(), "1en");
            assert!(Shop.user(0, "en").await.is_err());
            assert_eq!(Shop.name(1), "1");
            assert_eq!(Shop.order(1, "en").await.as_deref(), Some("1en"));
        }
        let manager = CacheManager::current();
        let users = manager.cache::<(u64, String), String>("native users").unwrap();
        let orders = manager.cache::<(u64, String), String>("boxed orders").unwrap();
        assert_eq!((users.stats().hits, orders.stats().hits), (1, 1));
        Shop.ship(0).await.unwrap_err();
        assert_eq!((users.len(), orders.len()), (1, 1), "it failed");
        Shop.ship(1).await.unwrap();
        assert_eq!((users.len(), orders.len()), (0, 0));
    });
}
