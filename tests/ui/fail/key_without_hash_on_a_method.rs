#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Clone, PartialEq, Eq)]
pub struct Id(u64);

pub struct Users;

impl Users {
    #[cached(skip(self), ttl = "60s")]
    pub async fn user(&self, id: Id) -> u64 { id.0 }
}

fn main() {}
