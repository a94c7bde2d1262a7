#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Clone)]
pub struct User(u64);

#[cached(ttl = "60s", tier = hybrid)]
async fn user(id: u64) -> Result<User, std::io::Error> { Ok(User(id)) }

fn main() {}
