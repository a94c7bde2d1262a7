#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn price(amount: f64, rates: &[f32]) -> String { format!("{amount}{rates:?}") }

#[cached]
fn area(size: Option<(u32, f64)>) -> String { format!("{size:?}") }

fn main() {}
