#![allow(unused_variables)]

use hybridcache::cached;

#[cached(returns = result)]
fn result(id: u64) -> u64 { id }

#[cached(returns = option)]
fn option(id: u64) -> u64 { id }

mod games {
    #[derive(Clone)]
    pub struct Result(pub u64);
}

#[cached]
fn game(id: u64) -> games::Result { games::Result(id) }

fn main() {}
