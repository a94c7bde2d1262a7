#![allow(unused_variables)]

use hybridcache::cached;

pub struct Users(u64);

impl Users {
    #[cached(skip(self))]
    pub fn user(self, id: u64) -> u64 { self.0 + id }
}

fn twice(users: Users) {
    users.user(1);
    users.user(2);
}

fn main() {}
