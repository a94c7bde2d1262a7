#![allow(unused_variables)]

use hybridcache::cache_evict;

#[cache_evict(user(..))]
struct User;

#[cache_evict(user(..))]
const fn rename() {}

fn main() {}
