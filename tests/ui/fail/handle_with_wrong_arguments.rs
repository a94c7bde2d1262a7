#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
async fn user(id: u64, lang: &str) -> String { format!("{id}{lang}") }

async fn calls() {
    let _ = user::evict(&7).await;
    let _ = user::evict(7, "en").await;
    let _ = user::put(&7, "en", 8).await;
    let _ = user::invalidate(&7, "en").await;
}

fn main() {}
