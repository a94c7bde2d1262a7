#![allow(unused_variables)]

use hybridcache::cached;

pub struct Users(u64);

impl Users {
    #[cached(skip(self))]
    pub fn user(&mut self, id: u64) -> u64 {
        self.0 += 1;
        id
    }
}

fn main() {}
