#![allow(unused_variables)]

use hybridcache::cached;

type Answer = Result<u64, String>;
type Perhaps = Option<u64>;

#[cached]
fn user(id: u64) -> Answer { Ok(id) }

#[cached]
async fn order(id: u64) -> Perhaps { Some(id) }

fn main() {}
