#![allow(unused_variables)]

use hybridcache::cached;

pub struct Users;

impl Users {
    #[cached(key(self, id))]
    pub fn user(&self, id: u64) -> u64 { id }
}

#[cached(skip(self))]
fn user(id: u64) -> u64 { id }

fn main() {}
