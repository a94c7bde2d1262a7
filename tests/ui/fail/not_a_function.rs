#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
struct User;

#[cached]
impl User {
    fn user(id: u64) -> u64 { id }
}

#[cached]
const USERS: u64 = 7;

fn main() {}
