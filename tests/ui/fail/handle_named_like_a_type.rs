#![allow(unused_variables)]

use hybridcache::cached;

pub struct User;

#[cached(handle = User)]
fn user(id: u64) -> u64 { id }

fn main() {}
