#![allow(unused_variables)]

use hybridcache::cached;

pub struct User {
    pub name: String,
}

pub struct Users;

pub trait Load {
    fn user(&self, id: u64) -> Option<User>;
}

impl Load for Users {
    #[cached(skip(self), ttl = "60s")]
    fn user(&self, id: u64) -> Option<User> { Some(User { name: id.to_string() }) }
}

fn main() {}
