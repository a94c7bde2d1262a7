#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Debug)]
pub struct DbError;

#[cached(cache_err)]
async fn user(id: u64) -> Result<u64, DbError> { Ok(id) }

fn main() {}
