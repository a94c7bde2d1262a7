#![allow(unused_variables)]

use hybridcache::cache_evict;

#[cache_evict(named(..))]
async fn all() {}

#[cache_evict(named())]
async fn none() {}

fn main() {}
