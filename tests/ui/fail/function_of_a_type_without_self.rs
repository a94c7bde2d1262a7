#![allow(unused_variables)]

use hybridcache::cached;

pub struct Users;

impl Users {
    #[cached(ttl = "60s")]
    pub fn user(id: u64) -> u64 { id }
}

fn main() {}
