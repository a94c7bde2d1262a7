#![allow(unused_variables)]

use hybridcache::cached;

pub trait Db: Send + Sync {}

#[cached]
fn by_reference(db: &dyn Db, id: u64) -> u64 { id }

#[cached]
fn boxed(db: Box<dyn Db>, id: u64) -> u64 { id }

#[cached]
fn counted(db: std::sync::Arc<dyn Db>, id: u64) -> u64 { id }

fn main() {}
