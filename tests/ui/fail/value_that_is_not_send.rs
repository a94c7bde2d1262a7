#![allow(unused_variables)]

use std::rc::Rc;

use hybridcache::cached;

#[cached(ttl = "60s")]
fn user(id: u64) -> Rc<str> { id.to_string().into() }

fn main() {}
