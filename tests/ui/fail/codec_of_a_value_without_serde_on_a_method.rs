#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Clone)]
pub struct User(u64);

pub struct Repo;

impl Repo {
    #[cached(ttl = "60s", tier = redis, codec = bincode, skip(self))]
    pub async fn user(&self, id: u64) -> Option<User> { Some(User(id)) }
}

fn main() {}
