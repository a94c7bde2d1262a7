#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Request<'a>(&'a str);

#[cached]
fn hidden(request: Request) -> usize { request.0.len() }

fn main() {}
