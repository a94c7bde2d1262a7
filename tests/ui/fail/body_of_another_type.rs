#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
async fn user(id: u64) -> Result<String, std::io::Error> {
    if id == 0 {
        return Ok(id);
    }
    id.to_string()
}

#[cached(handle = false)]
async fn order(id: u64) -> Result<String, std::io::Error> {
    if id == 0 {
        return Ok(id);
    }
    id.to_string()
}

#[cached(handle = false)]
fn count(id: u64) -> String { id }

fn main() {}
