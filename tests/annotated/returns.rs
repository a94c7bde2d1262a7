//! What is kept of each kind of return type.

use std::sync::atomic::{AtomicU64, Ordering};

use hybridcache::cached;
use hybridcache_tests::Runs;

use super::NotFound;

type Fallible<T> = Result<T, String>;
type Maybe = Option<u64>;

#[tokio::test]
async fn a_none_is_loaded_again_unless_it_is_to_be_kept() {
    #[cached(skip(runs))]
    async fn maybe(id: u64, runs: &Runs) -> Option<u64> {
        runs.run();
        (id > 0).then_some(id)
    }
    #[cached(cache_none, skip(runs))]
    async fn kept(id: u64, runs: &Runs) -> Option<u64> {
        runs.run();
        (id > 0).then_some(id)
    }
    #[cached(cache_none, skip(runs))]
    async fn both(id: u64, runs: &Runs) -> Result<Option<u64>, NotFound> {
        runs.run();
        if id == 9 { Err(NotFound(9)) } else { Ok((id > 0).then_some(id)) }
    }

    let runs = Runs::default();
    for _ in 0..2 {
        assert_eq!((maybe(0, &runs).await, maybe(1, &runs).await), (None, Some(1)));
    }
    assert_eq!(runs.count(), 3);
    let runs = Runs::default();
    for _ in 0..2 {
        assert_eq!((kept(0, &runs).await, kept(1, &runs).await), (None, Some(1)));
    }
    assert_eq!((runs.count(), kept::stats().hits), (2, 2));
    let runs = Runs::default();
    for _ in 0..2 {
        assert_eq!(
            (both(0, &runs).await, both(1, &runs).await, both(9, &runs).await),
            (Ok(None), Ok(Some(1)), Err(NotFound(9)))
        );
    }
    assert_eq!(runs.count(), 4);
    kept::evict(&0).await.unwrap();
    kept(0, &runs).await;
    assert_eq!(runs.count(), 5);
    assert_eq!(kept::peek(&0).await, None);
}

#[tokio::test]
async fn an_error_is_loaded_again_unless_it_is_to_be_kept() {
    #[cached(cache_err, skip(runs))]
    async fn kept(id: u64, runs: &Runs) -> Result<u64, NotFound> {
        runs.run();
        if id == 0 { Err(NotFound(0)) } else { Ok(id) }
    }
    #[cached(cache_err, cache_none, skip(runs))]
    fn plain(id: u64, runs: &Runs) -> Result<Option<u64>, NotFound> {
        runs.run();
        if id == 0 { Err(NotFound(0)) } else { Ok(None) }
    }

    let runs = Runs::default();
    for _ in 0..3 {
        assert_eq!((kept(0, &runs).await, kept(1, &runs).await), (Err(NotFound(0)), Ok(1)));
    }
    assert_eq!((runs.count(), kept::stats().hits), (2, 4));
    kept::evict(&0).await.unwrap();
    assert_eq!((kept(0, &runs).await, runs.count()), (Err(NotFound(0)), 3));
    for _ in 0..3 {
        assert_eq!((plain(0, &runs), plain(1, &runs)), (Err(NotFound(0)), Ok(None)));
    }
    assert_eq!(runs.count(), 5);
}

#[test]
fn nothing_at_all_is_a_value() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    #[cached]
    fn once(_what: &str) {
        RUNS.fetch_add(1, Ordering::SeqCst);
    }

    once("a");
    once("a");
    once("b");
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);
    assert_eq!(once::peek("a"), Some(()));
}

#[tokio::test]
async fn aliases_are_seen_through() {
    #[cached(returns = result, skip(runs))]
    async fn fallible(id: u64, runs: &Runs) -> Fallible<u64> {
        runs.run();
        if id == 0 { Err("zero".to_owned()) } else { Ok(id) }
    }
    #[cached(returns = option, skip(runs))]
    async fn optional(id: u64, runs: &Runs) -> Maybe {
        runs.run();
        (id > 0).then_some(id)
    }
    #[cached(value = u64, skip(runs))]
    async fn named(id: u64, runs: &Runs) -> Fallible<Option<u64>> {
        runs.run();
        Ok((id > 0).then_some(id))
    }
    #[cached(skip(runs))]
    async fn spelled(id: u64, runs: &Runs) -> std::result::Result<u64, String> {
        runs.run();
        if id == 0 { Err("zero".to_owned()) } else { Ok(id) }
    }
    #[cached(returns = plain, skip(runs))]
    async fn whole(id: u64, runs: &Runs) -> Option<u64> {
        runs.run();
        (id > 0).then_some(id)
    }

    for _ in 0..2 {
        let runs = Runs::default();
        assert_eq!((fallible(0, &runs).await, fallible(1, &runs).await), (Err("zero".to_owned()), Ok(1)));
        assert_eq!((optional(0, &runs).await, optional(1, &runs).await), (None, Some(1)));
        assert_eq!((named(0, &runs).await, named(1, &runs).await), (Ok(None), Ok(Some(1))));
        assert_eq!((spelled(0, &runs).await, spelled(1, &runs).await), (Err("zero".to_owned()), Ok(1)));
    }
    assert_eq!(fallible::peek(&1).await, Some(1));
    assert_eq!(named::peek(&1).await, Some(1));
    let runs = Runs::default();
    for _ in 0..2 {
        assert_eq!((whole(0, &runs).await, whole(1, &runs).await), (None, Some(1)));
    }
    assert_eq!(runs.count(), 2);
    assert_eq!(whole::peek(&0).await, Some(None), "the whole is what is kept");
}
