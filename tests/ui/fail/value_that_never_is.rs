#![allow(unused_variables)]

use hybridcache::cached;

#[cached]
fn serve(port: u16) -> ! { panic!("{port}") }

fn main() {}
