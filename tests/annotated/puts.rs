//! `#[cache_put]`: what it puts, when, and what is left where writers overtake one another.

use std::pin::Pin;

use hybridcache::{cache_evict, cache_put, cached};
use hybridcache_tests::{Gate, poll_once};

#[tokio::test]
async fn a_put_stores_the_value_of_a_success() {
    cached_rows!();
    #[cache_put(row(id, "en") = result.clone())]
    async fn update(id: u64, name: &str) -> Result<String, String> {
        assert_eq!(held!(1), [true], "what is kept stays until the end");
        if name.is_empty() { Err("a name is needed".to_owned()) } else { Ok(format!("{name}-{id}")) }
    }
    #[cache_put(list(page) = vec![*result, page])]
    fn plain(page: u64) -> u64 {
        page * 2
    }

    row(1, "en").await.unwrap();
    update(1, "").await.unwrap_err();
    assert_eq!(row(1, "en").await.unwrap(), "en-1");
    update(1, "new").await.unwrap();
    assert_eq!((row(1, "en").await.unwrap(), row::stats().loads), ("new-1".to_owned(), 1));
    plain(3);
    assert_eq!(list(3), [6, 3]);
}

#[tokio::test]
async fn a_put_may_know_its_key_only_from_the_result() {
    cached_rows!();
    #[cache_put(row(result.0, "en") = result.1.clone(), list(*page) = vec![result.0])]
    async fn create(page: &u64, name: &str) -> Result<(u64, String), String> {
        let _ = page;
        if name.is_empty() { Err("a name is needed".to_owned()) } else { Ok((7, name.to_owned())) }
    }

    create(&1, "").await.unwrap_err();
    assert_eq!((held!(7), list::peek(&1)), ([false], None));
    create(&1, "new").await.unwrap();
    assert_eq!((row(7, "en").await.unwrap(), list(1)), ("new".to_owned(), vec![7]));
}

#[tokio::test]
async fn a_put_whose_writer_vanishes_or_panics_evicts() {
    cached_rows!();
    #[cache_put(row(id, "en") = result.clone())]
    async fn update(id: u64, gate: &Gate) -> Result<String, String> {
        let _ = id;
        gate.pass().await;
        panic!("after the commit")
    }

    let gate = Gate::default();
    row(1, "en").await.unwrap();
    let mut hung_up = Box::pin(update(1, &gate));
    assert!(poll_once(&mut hung_up).is_pending());
    assert_eq!(held!(1), [true]);
    drop(hung_up);
    assert_eq!(held!(1), [false]);
    row(1, "en").await.unwrap();
    gate.open();
    assert!(tokio::spawn(async move { update(1, &gate).await }).await.unwrap_err().is_panic());
    assert_eq!(held!(1), [false]);
}

#[tokio::test]
async fn of_two_writers_no_order_leaves_an_old_value() {
    cached_rows!();
    /// Commits at the gate of its own, and returns at the other.
    #[cache_put(row(id, "en") = result.clone())]
    async fn early(id: u64, value: u64, done: &Gate) -> Result<String, String> {
        let _ = id;
        done.pass().await;
        Ok(format!("{value}"))
    }
    #[cache_put(row(result.0, "en") = result.1.clone())]
    async fn late(value: u64, done: &Gate) -> Result<(u64, String), String> {
        done.pass().await;
        Ok((1, format!("{value}")))
    }
    type Writer = Pin<Box<dyn Future<Output = ()> + Send>>;
    let writer = |kind: &str, value: u64, done: &Gate| -> Writer {
        let done = done.clone();
        if kind == "early" {
            Box::pin(async move { drop(early(1, value, &done).await) })
        } else {
            Box::pin(async move { drop(late(value, &done).await) })
        }
    };
    for kinds in [["early", "early"], ["early", "late"], ["late", "early"], ["late", "late"]] {
        for first_ends_first in [true, false] {
            row::put(&1, "en", "old".to_owned()).await.unwrap();
            let gates = [Gate::default(), Gate::default()];
            let mut first = writer(kinds[0], 10, &gates[0]);
            let mut second = writer(kinds[1], 20, &gates[1]);
            assert!(poll_once(&mut first).is_pending());
            assert!(poll_once(&mut second).is_pending());
            let ends = if first_ends_first { [0, 1] } else { [1, 0] };
            for end in ends {
                gates[end].open();
                let writer = if end == 0 { &mut first } else { &mut second };
                assert!(poll_once(writer).is_ready());
                let kept = row::peek(&1, "en").await;
                assert_ne!(kept.as_deref(), Some("old"), "{kinds:?} {ends:?}");
            }
            // Which of the two committed last nobody can tell: neither value may stay.
            assert_eq!(row::peek(&1, "en").await, None, "{kinds:?} {ends:?}");
        }
    }
    // One after the other is another thing.
    let open = Gate::default();
    open.open();
    for (kind, value) in [("early", 30), ("late", 40), ("early", 50)] {
        writer(kind, value, &open).await;
        assert_eq!(row::peek(&1, "en").await, Some(value.to_string()));
    }
}

#[tokio::test]
async fn an_evict_and_a_put_stand_on_one_function() {
    cached_rows!();
    #[cache_evict(list(..))]
    #[cache_put(row(id, "en") = result.clone())]
    async fn update(id: u64) -> Result<String, String> {
        if id == 0 { Err("zero".to_owned()) } else { Ok("new".to_owned()) }
    }

    list(1);
    update(0).await.unwrap_err();
    assert_eq!(list::cache().len(), 1);
    update(1).await.unwrap();
    assert_eq!((list::cache().len(), row(1, "en").await.unwrap()), (0, "new".to_owned()));
}
