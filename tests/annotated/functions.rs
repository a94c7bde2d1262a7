//! Functions as people write them.

use hybridcache::{Error, cached};
use hybridcache_tests::{Runs, on_tokio, settle};

use super::NotFound;

#[cached]
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

#[cached]
async fn fibonacci_async(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci_async(n - 1).await + fibonacci_async(n - 2).await }
}

#[tokio::test]
async fn recursion_runs_each_once() {
    assert_eq!(fibonacci(90), 2_880_067_194_370_816_120);
    assert_eq!(fibonacci::stats().loads, 91);
    assert_eq!(fibonacci_async(90).await, 2_880_067_194_370_816_120);
    assert_eq!(fibonacci_async::stats().loads, 91);
}

mod inner {
    use hybridcache::cached;

    /// Its documentation stays.
    ///
    /// # Errors
    ///
    /// For zero.
    #[cached]
    #[tracing::instrument(skip_all)]
    #[must_use]
    pub(super) async fn visible(id: u64) -> Result<u64, String> {
        let checked = check(id)?;
        Ok(checked + 1)
    }

    fn check(id: u64) -> Result<u64, String> {
        if id == 0 { Err("zero".to_owned()) } else { Ok(id) }
    }
}
use inner::visible;

#[tokio::test]
async fn a_handle_is_imported_with_its_function() {
    assert_eq!(visible(1).await, Ok(2));
    assert_eq!(visible(0).await, Err("zero".to_owned()));
    assert_eq!((visible::peek(&1).await, inner::visible::peek(&0).await), (Some(2), None));
    assert_eq!(inner::visible::stats().load_failures, 1);
}

#[test]
fn raw_names_and_names_that_shadow_nothing() {
    #[cached]
    fn r#type(r#match: u64, value: u64) -> u64 {
        r#match + value
    }

    assert_eq!((r#type(1, 2), r#type(1, 2)), (3, 3));
    r#type::put(&1, &2, 9).unwrap();
    assert_eq!(r#type(1, 2), 9);
    assert!(r#type::cache().name().ends_with("::type"), "{}", r#type::cache().name());
}

#[test]
#[deny(warnings, clippy::all)]
fn an_expansion_warns_of_nothing() {
    #[cached]
    fn quiet(id: u64, text: &str) -> Result<u64, Error> {
        if text.is_empty() {
            return Ok(0);
        }
        Ok(id)
    }

    assert_eq!(quiet(1, ""), Ok(0));
}

#[test]
fn a_function_may_be_conditional() {
    #[cfg(any())]
    #[cached]
    fn never(id: Nothing) -> Nothing {
        id
    }
    #[cfg(not(any()))]
    #[cached]
    fn always(id: u64) -> u64 {
        id
    }

    assert_eq!((always(1), always::peek(&1)), (1, Some(1)));
}

/// A boxed future by hand is what some have instead of an `async fn`.
#[tokio::test]
async fn a_boxed_future_is_an_async_function() {
    use std::pin::Pin;

    #[cached]
    fn boxed(id: u64) -> Pin<Box<dyn Future<Output = Result<u64, NotFound>> + Send>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if id == 0 { Err(NotFound(0)) } else { Ok(id + 1) }
        })
    }

    for _ in 0..2 {
        assert_eq!((boxed(1).await, boxed(0).await), (Ok(2), Err(NotFound(0))));
    }
    assert_eq!((boxed::stats().loads, boxed::peek(&1).await), (3, Some(2)));
}

#[test]
fn a_plain_function_works_on_any_runtime_and_none() {
    #[cached(skip(runs))]
    fn plain(id: u64, runs: &Runs) -> u64 {
        runs.run() + id
    }

    let runs = Runs::default();
    assert_eq!(plain(10, &runs), 11);
    let inside = runs.clone();
    on_tokio(0, async move || assert_eq!(plain(10, &inside), 11));
    let inside = runs.clone();
    on_tokio(2, async move || {
        assert_eq!(tokio::task::block_in_place(|| plain(10, &inside)), 11);
        settle().await;
    });
    assert_eq!(runs.count(), 1);
}
