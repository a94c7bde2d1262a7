#![allow(unused_variables)]

use hybridcache::cached;

pub trait Db: Send + Sync {}

#[cached(ttl = "5m", refresh_ahead = 0.8, skip(db))]
async fn dynamic(db: &dyn Db, id: u64) -> u64 { id }

#[cached(ttl = "5m", refresh_ahead = 0.8, skip(db))]
async fn mutable(db: &mut String, id: u64) -> u64 { id }

fn main() {}
