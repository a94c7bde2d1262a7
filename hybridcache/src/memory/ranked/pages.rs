//! A dense sequence that grows and shrinks by pages.

use std::ops::{Index, IndexMut};

/// How many items a page has.
const PAGE: usize = 64;

/// Like a `Vec`, but nothing is moved when it grows, so no lock is held for long; at most a page is allocated and not
/// used; and a page goes back to the allocator as soon as it is empty.
#[derive(Debug)]
pub(super) struct Pages<T> {
    /// All full, but for the last, which is not empty.
    pages: Vec<Vec<T>>,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T> Pages<T> {
    pub(super) fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    pub(super) fn push(&mut self, item: T) {
        match self.pages.last_mut() {
            Some(last) if last.len() < PAGE => last.push(item),
            Some(_) => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(item);
                self.pages.push(page);
            }
            // The first grows by itself: a small cache takes little.
            None => self.pages.push(vec![item]),
        }
    }

    /// Takes an item out; the last one takes its place.
    pub(super) fn swap_remove(&mut self, i: usize) -> T {
        let page = self.pages.last_mut().expect("there is an item");
        let last = page.pop().expect("no page is empty");
        if page.is_empty() {
            self.pages.pop();
            give_back(&mut self.pages);
        }
        if i == self.len() { last } else { std::mem::replace(&mut self[i], last) }
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        self.pages.into_iter().flatten()
    }

    /// How many items there is memory for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.pages.iter().map(Vec::capacity).sum()
    }
}

impl<T> Index<usize> for Pages<T> {
    type Output = T;

    #[inline]
    fn index(&self, i: usize) -> &T {
        &self.pages[i / PAGE][i % PAGE]
    }
}

impl<T> IndexMut<usize> for Pages<T> {
    #[inline]
    fn index_mut(&mut self, i: usize) -> &mut T {
        &mut self.pages[i / PAGE][i % PAGE]
    }
}

/// Whether so much is allocated for so few items that it is worth to move them. Half of it stays, so that this is not
/// so again before as many leave or come.
pub(super) fn is_sparse(len: usize, capacity: usize) -> bool {
    capacity > PAGE && len < capacity / 4
}

/// Gives memory back that a `Vec` does not need.
pub(super) fn give_back<T>(items: &mut Vec<T>) {
    if is_sparse(items.len(), items.capacity()) {
        items.shrink_to(items.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_dense_sequence() {
        let (mut pages, mut model) = (Pages::default(), Vec::new());
        for i in 0..1_000 {
            pages.push(i);
            model.push(i);
        }
        let mut at = 7;
        while !model.is_empty() {
            at = (at * 31 + 17) % model.len();
            assert_eq!(pages.swap_remove(at), model.swap_remove(at));
            assert_eq!(pages.len(), model.len());
            assert!((0..model.len()).all(|i| pages[i] == model[i]));
        }
        assert_eq!(pages.pages.len(), 0, "all of it has been given back");
    }
}
