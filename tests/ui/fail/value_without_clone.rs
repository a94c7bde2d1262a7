#![allow(unused_variables)]

use hybridcache::cached;

pub struct User {
    pub name: String,
}

#[cached(ttl = "60s")]
async fn user(id: u64) -> Result<User, std::io::Error> { Ok(User { name: id.to_string() }) }

fn main() {}
