//! `clock`: first in, first out, with a second chance.

use std::sync::atomic::{AtomicBool, Ordering};

use super::lists::Lists;
use super::order::Order;
use super::pages::give_back;

const DIAL: u32 = 0;

/// Corbató's clock (*A paging experiment with the Multics system*, 1968). The hand stands at the back of the list; who
/// was hit since it last passed is passed again, which is to be moved to the front.
#[derive(Debug)]
pub(super) struct Clock {
    dial: Lists,
    /// Of each slot, whether it was hit since the hand passed.
    referenced: Vec<AtomicBool>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { dial: Lists::new(1), referenced: Vec::new() }
    }
}

impl Order for Clock {
    fn anew(&self) -> Box<dyn Order> {
        Box::<Self>::default()
    }

    #[inline]
    fn hit(&self, slot: u32, _hash: u64) -> bool {
        let referenced = &self.referenced[slot as usize];
        // A store would take the line away from the other readers: once is enough.
        if !referenced.load(Ordering::Relaxed) {
            referenced.store(true, Ordering::Relaxed);
        }
        false
    }

    fn insert(&mut self, slot: u32, _hash: u64) {
        self.dial.push_front(DIAL, slot);
        match self.referenced.get_mut(slot as usize) {
            Some(referenced) => *referenced.get_mut() = false,
            None => self.referenced.push(AtomicBool::new(false)),
        }
    }

    /// After one round all have had their second chance.
    fn victim(&mut self, _hash_of: &dyn Fn(u32) -> u64) -> u32 {
        loop {
            let slot = self.dial.back(DIAL).expect("there is an entry");
            if !std::mem::take(self.referenced[slot as usize].get_mut()) {
                return slot;
            }
            self.dial.unlink(slot);
            self.dial.push_front(DIAL, slot);
        }
    }

    fn remove(&mut self, slot: u32) {
        self.dial.unlink(slot);
    }

    fn swap_remove(&mut self, slot: u32) {
        self.dial.swap_remove(slot);
        self.referenced.swap_remove(slot as usize);
        give_back(&mut self.referenced);
    }

    #[cfg(test)]
    fn validate(&self, len: usize) {
        self.dial.validate(len);
        assert_eq!(self.referenced.len(), len);
    }
}
