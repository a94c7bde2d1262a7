//! Values put under keys that are known before the body (a lease) and after it (a ticket).
use hybridcache::{cache_put, cached};
use hybridcache_tests::block_on;

#[derive(Clone, Debug, PartialEq)]
struct User {
    id: u64,
    name: String,
}

#[cached]
async fn user(id: u64, lang: &str) -> Option<User> {
    Some(User { id, name: lang.to_owned() })
}

#[cached]
fn by_name(name: &str) -> u64 {
    name.len() as u64
}

#[cache_put(user(id, "en") = result.clone(), by_name(&result.name) = result.id)]
async fn update(id: u64, name: String) -> Result<User, String> {
    if id == 0 {
        return Err("nobody".to_owned());
    }
    Ok(User { id, name })
}

#[cache_put(by_name(name) = id)]
fn reset(id: u64, name: &str) {}

struct Users;

impl Users {
    #[cached(skip(self))]
    pub fn count(&self, of: &str) -> u64 {
        of.len() as u64
    }

    #[cache_put(self.count(of) = *result, Self::count(&format!("{of}{result}")) = result + 1)]
    fn add(&self, of: &str) -> Option<u64> {
        Some(100)
    }
}

fn main() {
    block_on(async {
        let ada = update(7, "Ada".to_owned()).await.unwrap();
        assert_eq!((user(7, "en").await, by_name("Ada")), (Some(ada), 7));
        update(0, "Bob".to_owned()).await.unwrap_err();
        assert_eq!((user::peek(&0, "en").await, by_name::peek("Bob")), (None, None));
    });
    reset(9, "Ada");
    assert_eq!(by_name("Ada"), 9);
    assert_eq!(Users.add("ab"), Some(100));
    assert_eq!((Users.count("ab"), Users.count("ab100"), Users.count("c")), (100, 101, 1));
}
