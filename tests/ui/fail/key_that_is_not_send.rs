#![allow(unused_variables)]

use std::rc::Rc;

use hybridcache::cached;

#[cached(ttl = "60s")]
fn user(id: Rc<str>) -> usize { id.len() }

fn main() {}
