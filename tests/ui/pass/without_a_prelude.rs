//! Nothing of the prelude is taken for granted, nor that its names mean what they usually mean.
#![no_implicit_prelude]

mod shadows {
    pub struct Option;
    pub struct Result;
    pub struct String;
    pub struct Vec;
    pub struct Box;
    pub trait Clone {}
    pub trait Send {}
    pub trait Sized {}
    pub struct Text;
    pub struct Ok;
    pub struct Some;
}

use ::hybridcache::{cache_evict, cache_put, cached};
#[allow(unused_imports)]
use shadows::*;

#[cached(ttl = "60s")]
pub async fn user(id: u64, lang: &str) -> ::core::result::Result<u64, ::std::io::Error> {
    ::core::result::Result::Ok(id + lang.len() as u64)
}

#[cached(key(id, lang: ::std::string::String = ::std::borrow::ToOwned::to_owned(lang)))]
pub fn order(id: u64, lang: &str, more: ::core::option::Option<&[u8]>) -> ::core::option::Option<u64> {
    ::core::option::Option::Some(id + (lang.len() + more.map_or(0, |more| more.len())) as u64)
}

#[cache_evict(user(id, "en"), named("orders", id, "en"))]
#[cache_put(order(id, "en") = id)]
pub async fn change(id: u64) {}

struct Users;

impl Users {
    #[cached(skip(self), refresh_ahead = 0.5, ttl = "60s")]
    pub async fn user(self: &::std::sync::Arc<Self>, id: u64) -> u64 {
        id
    }
}

fn main() {
    ::hybridcache_tests::block_on(async {
        ::std::assert!(user(1, "en").await.is_ok());
        change(1).await;
        ::std::assert!(user::peek(&1, "en").await.is_none());
        ::std::assert_eq!(order(1, "en", ::core::option::Option::None), ::core::option::Option::Some(1));
        ::std::assert_eq!(::std::sync::Arc::new(Users).user(1).await, 1);
    });
}
