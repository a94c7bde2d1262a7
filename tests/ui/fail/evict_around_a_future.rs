//! A future behind an alias: what was to be evicted after it would be evicted before it.
#![allow(unused_variables)]
use std::pin::Pin;

use hybridcache::{cache_evict, cache_put, cached};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[cached]
async fn user(id: u64) -> u64 { id }

#[cache_evict(user(id))]
fn rename(id: u64) -> BoxFuture<Result<(), String>> { Box::pin(async { Ok(()) }) }

#[cache_evict(user(id), on = always)]
fn always(id: u64) -> std::future::Ready<()> { std::future::ready(()) }

#[cache_put(user(id) = 7)]
fn put(id: u64) -> BoxFuture<()> { Box::pin(async {}) }

fn main() {}
