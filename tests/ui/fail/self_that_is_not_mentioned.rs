#![allow(unused_variables)]

use hybridcache::cached;

pub struct Users;

impl Users {
    #[cached(ttl = "60s")]
    pub async fn user(&self, id: u64) -> u64 { id }

    #[cached(ttl = "60s", skip(id))]
    pub async fn order(&self, id: u64) -> u64 { id }
}

fn main() {}
