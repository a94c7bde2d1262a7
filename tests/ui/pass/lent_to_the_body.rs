//! What is named after the body is lent to it: `self` by `&mut` or by value, and arguments that the body only looks at.
#![deny(warnings)]
use std::sync::Arc;

use hybridcache::{cache_evict, cache_put, cached};
use hybridcache_tests::block_on;

#[cached]
fn by_name(name: &str) -> u64 {
    name.len() as u64
}

#[derive(Default)]
struct Users {
    tenant: u64,
    last: u64,
    log: Vec<String>,
}

impl Users {
    #[cached(key(tenant: u64 = self.tenant, id))]
    pub async fn user(&self, id: u64) -> u64 {
        id
    }

    #[cached(skip(self))]
    pub fn count(&self, of: u64) -> u64 {
        of
    }

    #[cache_evict(self.user(*result), self.count(..))]
    #[cache_put(self.count(*result) = self.last + 100)]
    async fn create(&mut self, name: String, mut by: u64) -> Result<u64, String> {
        if by == 0 {
            return Err(name);
        }
        by += 1;
        self.last += by;
        self.log.push(name);
        Ok(self.last)
    }

    #[cache_evict(self.count(*result))]
    fn create_now(&mut self, by: u64) -> Option<u64> {
        self.last += by;
        Some(self.last)
    }

    #[cache_evict(self.count(*result))]
    fn shared(self: Arc<Self>) -> u64 {
        self.last
    }

    #[cache_evict(self.count(result.len() as u64))]
    fn taken(mut self) -> Vec<String> {
        self.last += 1;
        std::mem::take(&mut self.log)
    }

    #[cache_evict(by_name(name), self.count(**result))]
    fn lent<'a>(&self, ids: &'a mut [u64], name: &str) -> Option<&'a mut u64> {
        ids.first_mut()
    }

    #[cache_evict(Self::count(*result))]
    fn boxed<'a>(&'a mut self) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(async move {
            self.last += 1;
            self.last
        })
    }
}

/// Notes when it ends.
struct Guard<'a>(&'a std::cell::Cell<bool>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[cache_put(by_name(&name) = { assert!(ended.get(), "what is not lent ends with the body"); name.len() as u64 + 1_000 })]
fn put(name: String, guard: Guard<'_>, ended: &std::cell::Cell<bool>, (_left, mut right): (u64, u64)) -> u64 {
    assert!(!ended.get() && !guard.0.get());
    right += name.len() as u64;
    right
}

fn main() {
    let mut users = Users { tenant: 1, ..Users::default() };
    block_on(async {
        users.user(3).await;
        users.create("Ada".to_owned(), 0).await.unwrap_err();
        assert_eq!(Users::user_cache().len(), 1);
        assert_eq!(users.create("Ada".to_owned(), 2).await, Ok(3));
        assert_eq!((Users::user_cache().len(), Users::count_cache().len()), (0, 0));
        users.count(4);
        assert_eq!(users.boxed().await, 4);
    });
    users.count(5);
    assert_eq!(users.create_now(1), Some(5));
    users.count(1);
    assert_eq!(users.lent(&mut [1], "Ada"), Some(&mut 1));
    let users = Arc::new(users);
    users.count(5);
    assert_eq!(Arc::clone(&users).shared(), 5);
    let users = Arc::into_inner(users).unwrap();
    users.count(1);
    assert_eq!(users.taken(), ["Ada"]);
    assert_eq!(Users::count_cache().len(), 0);
    let ended = std::cell::Cell::new(false);
    assert_eq!(put("Ada".to_owned(), Guard(&ended), &ended, (1, 2)), 5);
    assert_eq!(by_name("Ada"), 1_003);
}
