#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(u64);

pub struct Repo;

impl Repo {
    #[cached(ttl = "60s", tier = hybrid, skip(self))]
    pub async fn user(&self, id: &Id) -> String { id.0.to_string() }
}

fn main() {}
