#![allow(unused_variables)]

use hybridcache::cached;

#[cached(name = 7)]
fn number(id: u64) -> u64 { id }

#[cached(name = "")]
fn empty(id: u64) -> u64 { id }

#[cached(name = format!("user-{id}"))]
fn of_argument(id: u64) -> u64 { id }

fn main() {}
