//! Doubly linked lists of slots.

use super::pages::give_back;

/// Several lists, each slot in one of them. The links stand beside the slots, in an array of their own: moving a slot
/// in its list touches no entry. Each list is a ring through a sentinel, so that a slot is unlinked without knowing
/// from which.
#[derive(Debug)]
pub(super) struct Lists {
    /// First the sentinels, then a node for each slot.
    nodes: Vec<Node>,
    lists: u32,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    prev: u32,
    next: u32,
}

impl Lists {
    pub(super) fn new(lists: u32) -> Self {
        Self { nodes: (0..lists).map(|list| Node { prev: list, next: list }).collect(), lists }
    }

    /// Asks for the memory of so many slots.
    pub(super) fn reserve(&mut self, slots: usize) {
        self.nodes.reserve_exact(slots);
    }

    /// Puts a slot at the front of a list. It is in none: it is new, or [`unlink`](Self::unlink)ed.
    pub(super) fn push_front(&mut self, list: u32, slot: u32) {
        let node = self.lists + slot;
        let links = Node { prev: list, next: self.nodes[list as usize].next };
        if node as usize == self.nodes.len() {
            self.nodes.push(links);
        } else {
            self.nodes[node as usize] = links;
        }
        self.join(node);
    }

    /// Takes a slot out of its list.
    pub(super) fn unlink(&mut self, slot: u32) {
        let Node { prev, next } = self.nodes[(self.lists + slot) as usize];
        self.nodes[prev as usize].next = next;
        self.nodes[next as usize].prev = prev;
    }

    pub(super) fn front(&self, list: u32) -> Option<u32> {
        self.nodes[list as usize].next.checked_sub(self.lists)
    }

    pub(super) fn back(&self, list: u32) -> Option<u32> {
        self.nodes[list as usize].prev.checked_sub(self.lists)
    }

    /// Forgets a slot that is in no list; the last slot takes its number.
    pub(super) fn swap_remove(&mut self, slot: u32) {
        self.nodes.swap_remove((self.lists + slot) as usize);
        if slot as usize != self.len() {
            self.join(self.lists + slot);
        }
        give_back(&mut self.nodes);
    }

    /// Makes the neighbours of a node point to it.
    fn join(&mut self, node: u32) {
        let Node { prev, next } = self.nodes[node as usize];
        self.nodes[prev as usize].next = node;
        self.nodes[next as usize].prev = node;
    }

    fn len(&self) -> usize {
        self.nodes.len() - self.lists as usize
    }

    /// The slots of a list from the front, after a look at its links.
    #[cfg(test)]
    pub(super) fn slots(&self, list: u32) -> Vec<u32> {
        let mut slots = Vec::new();
        let (mut before, mut at) = (list, self.nodes[list as usize].next);
        while at != list {
            assert_eq!(self.nodes[at as usize].prev, before, "the way back is the way there");
            slots.push(at - self.lists);
            assert!(slots.len() <= self.len(), "a list ends");
            (before, at) = (at, self.nodes[at as usize].next);
        }
        assert_eq!(self.nodes[list as usize].prev, before);
        slots
    }

    /// Checks that each of so many slots is in one list.
    #[cfg(test)]
    pub(super) fn validate(&self, len: usize) {
        assert_eq!(self.len(), len);
        let mut all: Vec<u32> = (0..self.lists).flat_map(|list| self.slots(list)).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..len as u32), "each slot is in one list");
    }
}
