#![allow(unused_variables)]

use hybridcache::cached;

pub trait Load: Sized {
    fn load(id: u64) -> Self;
}

#[cached(ttl = "60s")]
async fn load<T: Load + 'static>(id: u64) -> Option<T> { Some(T::load(id)) }

fn main() {}
