#![allow(unused_variables)]

use hybridcache::cached;

pub struct Users;

impl Users {
    #[cached(skip(self), ttl = "5m", refresh_ahead = 0.8)]
    pub async fn user(&self, id: u64) -> u64 { id }
}

fn main() {}
