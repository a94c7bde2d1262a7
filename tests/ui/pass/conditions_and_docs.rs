//! `cfg`, docs and other attributes go where they belong.
use hybridcache::{cache_evict, cached};

#[cfg(any())]
#[cached]
fn user(id: NoSuchType) -> NoSuchType {
    id
}

#[cached]
#[cfg(any())]
fn user(id: NoSuchType) -> NoSuchType {
    id
}

/// Loads a user.
#[cfg(all())]
#[doc(alias = "load")]
#[cached]
#[inline(never)]
#[must_use = "it was expensive"]
#[allow(clippy::needless_return)]
fn user(id: u64) -> u64 {
    return id;
}

#[cached]
#[deprecated = "use `user`"]
fn old(id: u64) -> u64 {
    id
}

#[cached]
#[expect(unused_variables)]
fn expects(id: u64) -> u64 {
    let unused = id;
    id
}

struct Users;

impl Users {
    #[cached(skip(self))]
    #[cfg(any())]
    pub fn user(&self, id: NoSuchType) -> NoSuchType {
        id
    }

    #[cfg(all())]
    #[cached(skip(self))]
    pub fn user(&self, id: u64) -> u64 {
        id
    }

    #[cache_evict(user(..))]
    #[cfg(any())]
    fn forget(&self, id: NoSuchType) {}
}

#[allow(deprecated)]
fn main() {
    assert_eq!((user(1), old(2), expects(3), Users.user(4)), (1, 2, 3, 4));
}
