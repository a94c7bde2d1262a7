//! Methods of an inherent impl: `&self`, `&Arc<Self>`, `Arc<Self>`, `self` by value, none.
use std::sync::Arc;

use hybridcache::{cache_evict, cached};
use hybridcache_tests::block_on;

#[derive(Clone)]
struct Users {
    tenant: u64,
}

impl Users {
    #[cached(ttl = "60s", key(tenant: u64 = self.tenant, id))]
    pub async fn user(&self, id: u64) -> Result<u64, std::io::Error> {
        Ok(self.tenant * 1000 + id)
    }

    #[cached(skip(self))]
    pub fn name(self: &Arc<Self>, id: u64) -> String {
        format!("user {id}")
    }

    #[cached(skip(self))]
    pub(crate) fn owned(self: Arc<Self>, id: u64) -> u64 {
        id
    }

    #[cached(skip(self), handle = moved)]
    fn by_value(self, id: u64) -> u64 {
        id
    }

    #[cached]
    pub fn build(id: u64) -> Option<Self>
    where
        Self: Sized,
    {
        (id > 0).then_some(Self { tenant: id })
    }

    #[cached(handle = Self)]
    pub fn free(id: u64) -> u64 {
        id + 1
    }

    #[cached(skip(self))]
    fn private(&self, id: u64) -> u64 {
        id + 2
    }

    #[cache_evict(self.user(id), self.name(id), Self::free(id), <Users>::build(..), self.moved(id))]
    async fn change(self: &Arc<Self>, id: u64) {}
}

fn main() {
    let (one, two) = (Arc::new(Users { tenant: 1 }), Arc::new(Users { tenant: 2 }));
    block_on(async {
        assert_eq!((one.user(7).await.unwrap(), two.user(7).await.unwrap()), (1007, 2007));
        assert_eq!(one.name(7), "user 7");
        assert_eq!(Arc::clone(&one).owned(7), 7);
        assert_eq!(Users::clone(&one).by_value(7), 7);
        assert_eq!(Users::build(3).map(|users| users.tenant), Some(3));
        assert_eq!((Users::free(1), one.private(1)), (2, 3));

        let cache = Users::user_cache();
        assert_eq!(cache.peek((&1, &7)).await, Some(1007));
        assert_eq!(one.user_key(&7), (1, 7));
        assert_eq!(Users::name_key(&7), 7);
        one.change(7).await;
        assert_eq!((cache.peek((&1, &7)).await, cache.peek((&2, &7)).await), (None, Some(2007)));
        assert!(Users::name_cache().is_empty() && Users::build_cache().is_empty() && Users::moved_cache().is_empty());
        assert_eq!(Users::free_cache().peek(&1).await, Some(2), "another key");
    });
}
