#![allow(unused_variables)]

use hybridcache::cached;

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Request<'a>(&'a str);

#[cached]
fn spelled(request: Request<'_>) -> usize { request.0.len() }

#[cached]
fn behind_reference<'a>(request: &Request<'a>) -> usize { request.0.len() }

fn main() {}
