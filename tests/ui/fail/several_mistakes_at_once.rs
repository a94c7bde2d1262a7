#![allow(unused_variables)]

use hybridcache::cached;

#[cached(tll = "5m", capacity = 0, jitter = "200%", skip(pol), wait_timeout = 5)]
fn user(pool: &mut u8, id: u64) -> u64 { id + u64::from(*pool) }

fn main_calls_it_without_more_errors() {
    let _: u64 = user(&mut 1, 2);
}

fn main() {}
