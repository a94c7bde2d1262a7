//! A dense sequence that grows and shrinks by pages.

use std::ops::{Index, IndexMut};

/// How many items a full page has.
const PAGE: usize = 64;

/// The last page grows by so many items at least: to grow it for each would move the others each time.
const STEP: usize = 4;

/// Like a `Vec`, but no more than a page is moved when it grows, so no lock is held for long; of what is allocated next
/// to nothing is unused, however large the items are; and memory goes back to the allocator as items leave.
#[derive(Debug)]
pub(super) struct Pages<T> {
    /// All full, but for the last, which is not empty and has about the memory that it needs.
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

    /// By how many items the last page grows: one of each page of them, which is next to nothing.
    fn step(&self) -> usize {
        self.pages.len().max(STEP)
    }

    pub(super) fn push(&mut self, item: T) {
        if self.pages.last().is_none_or(|last| last.len() == PAGE) {
            self.pages.push(Vec::new());
        }
        let step = self.step();
        let last = self.pages.last_mut().expect("there is a page");
        if last.len() == last.capacity() {
            last.reserve_exact(step.min(PAGE - last.len()));
        }
        last.push(item);
    }

    /// Takes an item out; the last one takes its place.
    pub(super) fn swap_remove(&mut self, i: usize) -> T {
        let step = self.step();
        let page = self.pages.last_mut().expect("there is an item");
        let last = page.pop().expect("no page is empty");
        if page.is_empty() {
            self.pages.pop();
            give_back(&mut self.pages);
        } else if page.capacity() - page.len() > 2 * step {
            // One step stays: those who come and go do not ask for memory each time.
            page.shrink_to(page.len() + step);
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

    #[test]
    fn what_is_allocated_is_what_is_needed() {
        const MOST: usize = 10_000;
        let mut pages = Pages::default();
        let unused = |pages: &Pages<usize>| pages.capacity() - pages.len();
        for i in 0..MOST {
            pages.push(i);
            assert!(unused(&pages) < STEP.max(pages.len().div_ceil(PAGE)), "{} of {}", unused(&pages), pages.len());
        }
        for _ in 0..MOST {
            pages.swap_remove(pages.len() / 2);
            let most = 2 * STEP.max(pages.len().div_ceil(PAGE));
            assert!(unused(&pages) <= most, "{} of {}", unused(&pages), pages.len());
        }
    }

    #[test]
    fn one_who_comes_and_goes_asks_for_no_memory() {
        for len in (1..3 * PAGE).filter(|len| len % PAGE != 0) {
            let mut pages = Pages::default();
            (0..=len).for_each(|i| pages.push(i));
            pages.swap_remove(0);
            let capacity = pages.capacity();
            for i in 0..10 {
                pages.push(i);
                assert_eq!(pages.capacity(), capacity, "with {len}");
                pages.swap_remove(0);
                assert_eq!(pages.capacity(), capacity, "with {len}");
            }
        }
    }
}
