//! Handles with another name, without one, and what stands in the way.
use hybridcache::{CacheManager, cache_evict, cached};

#[allow(dead_code)]
struct User {
    id: u64,
}

#[cached(handle = users)]
fn load(id: u64) -> u64 {
    id
}

#[cached(handle = false, name = "nameless")]
fn nameless(id: u64) -> u64 {
    id
}

#[cached(handle = StrCache)]
fn str(id: u64) -> String {
    id.to_string()
}

#[cached(handle = user_handle)]
#[allow(non_snake_case)]
fn User(id: u64) -> u64 {
    id
}

struct Repo;

impl Repo {
    #[cached(skip(self), handle = rows)]
    fn private(&self, id: u64) -> u64 {
        id
    }

    #[cached(skip(self), handle = false, name = "repo")]
    pub fn without(&self, id: u64) -> u64 {
        id
    }

    #[cache_evict(self.rows(id), users(id), StrCache(..), named("nameless", id))]
    fn forget(&self, id: u64) {}
}

fn main() {
    assert_eq!((load(1), nameless(1), str(1), User(1)), (1, 1, "1".to_owned(), 1));
    assert_eq!((Repo.private(1), Repo.without(1)), (1, 1));
    assert_eq!((users::peek(&1), StrCache::peek(&1), user_handle::peek(&1)), (Some(1), Some("1".to_owned()), Some(1)));
    Repo.forget(1);
    assert_eq!((users::peek(&1), StrCache::peek(&1), user_handle::peek(&1)), (None, None, Some(1)));
    let manager = CacheManager::current();
    assert_eq!(manager.cache::<u64, u64>("nameless").unwrap().len(), 0);
    assert_eq!(manager.cache::<u64, u64>("repo").unwrap().len(), 1);
    assert_eq!(Repo::rows_key(&1), 1);
}
