#![allow(unused_variables)]

use std::rc::Rc;

use hybridcache::cached;

#[cached(ttl = "5m", refresh_ahead = 0.8)]
async fn user(id: u64) -> u64 {
    let id = Rc::new(id);
    std::future::ready(()).await;
    *id
}

fn main() {}
