#![allow(unused_variables)]

use hybridcache::cached;

pub struct State<T>(T);

#[cached]
fn user(State(db): State<u64>, id: u64) -> u64 { db + id }

#[cached]
fn order(_: f64, id: u64) -> u64 { id }

fn main() {}
