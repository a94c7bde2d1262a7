#![allow(unused_variables)]

use hybridcache::{cache_put, cached};

#[cached]
async fn user(id: u64) -> u64 { id }

#[cache_put(user(id) = *result, before, on = always)]
async fn rename(id: u64) -> u64 { id }

#[cache_put(user = *result)]
async fn reset(id: u64) -> u64 { id }

fn main() {}
