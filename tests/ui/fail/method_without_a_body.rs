#![allow(unused_variables)]

use hybridcache::cached;

trait Users {
    #[cached(skip(self))]
    fn user(&self, id: u64) -> u64;
}

fn main() {}
