//! Collects mistakes, so that a user sees all of them at once.

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::Span;

/// The mistakes found so far. Dropping it unread is a bug: a mistake would pass in silence.
pub(crate) struct Errors {
    found: RefCell<Option<Vec<syn::Error>>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Self { found: RefCell::new(Some(Vec::new())) }
    }

    pub(crate) fn at(&self, span: Span, message: impl Display) {
        self.add(syn::Error::new(span, message));
    }

    pub(crate) fn add(&self, error: syn::Error) {
        if let Some(found) = self.found.borrow_mut().as_mut() {
            found.push(error);
        }
    }

    /// Keeps the value of a success; notes the mistake otherwise.
    pub(crate) fn keep<T>(&self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.found.borrow().as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn finish(self) -> syn::Result<()> {
        let mut found = self.found.borrow_mut().take().unwrap_or_default().into_iter();
        let Some(mut all) = found.next() else {
            return Ok(());
        };
        found.for_each(|error| all.combine(error));
        Err(all)
    }
}

#[cfg(test)]
impl Errors {
    /// The sentences of all of them.
    pub(crate) fn told(self) -> Vec<String> {
        self.finish().err().into_iter().flatten().map(|error| error.to_string()).collect()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        let unread = self.found.get_mut().is_some();
        assert!(!unread || std::thread::panicking(), "mistakes were collected and nobody looked at them");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported() {
        let errors = Errors::new();
        errors.at(Span::call_site(), "one");
        errors.at(Span::call_site(), "two");
        assert_eq!(errors.told(), ["one", "two"]);
    }

    #[test]
    #[should_panic(expected = "nobody looked")]
    fn unread_mistakes_are_a_bug() {
        drop(Errors::new());
    }
}
