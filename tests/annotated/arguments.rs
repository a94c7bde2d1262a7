//! How each kind of argument is part of a key.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hybridcache::cached;
use hybridcache_tests::Runs;

#[tokio::test]
async fn borrowed_owned_optional_and_compound_arguments_form_the_key() {
    #[allow(clippy::too_many_arguments)]
    #[cached(skip(runs))]
    async fn all(
        number: i64,
        text: &str,
        owned: String,
        bytes: &[u8],
        list: Vec<u8>,
        maybe: Option<&str>,
        sure: Option<u8>,
        either: Cow<'_, str>,
        pair: (u8, &str),
        shared: Arc<str>,
        twice: &&str,
        map: &BTreeMap<u8, u8>,
        runs: &Runs,
    ) -> u64 {
        let _ = (number, text, owned, bytes, list, maybe, sure, either, pair, shared, twice, map);
        runs.run()
    }

    let runs = Runs::default();
    let call = async |change: usize| {
        let other = |at: usize| change == at;
        all(
            if other(0) { -2 } else { -1 },
            if other(1) { "b" } else { "a" },
            if other(2) { "b" } else { "a" }.to_owned(),
            if other(3) { &[2] } else { &[1] },
            if other(4) { vec![] } else { vec![1] },
            if other(5) { None } else { Some("") },
            if other(6) { None } else { Some(0) },
            if other(7) { Cow::Borrowed("b") } else { Cow::Owned("a".to_owned()) },
            if other(8) { (1, "b") } else { (1, "a") },
            if other(9) { "b".into() } else { "a".into() },
            if other(10) { &"b" } else { &"a" },
            &BTreeMap::from([(1, u8::from(other(11)))]),
            &runs,
        )
        .await
    };
    for change in 0..=12 {
        assert_eq!(call(change).await, change as u64 + 1, "a change of argument {change} is another key");
    }
    for change in 0..=12 {
        assert_eq!(call(change).await, change as u64 + 1, "the same arguments are the same key");
    }
    all::evict(
        &-1,
        "a",
        &"a".to_owned(),
        &[1],
        &vec![1],
        &Some(""),
        &Some(0),
        "a",
        &(1, "a"),
        &"a".into(),
        &"a",
        &BTreeMap::from([(1, 0)]),
    )
    .await
    .unwrap();
    assert_eq!(call(12).await, 14);
}

#[test]
fn no_argument_is_one_key() {
    #[cached]
    fn config() -> Arc<String> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        Arc::new(format!("run {}", RUNS.fetch_add(1, Ordering::SeqCst)))
    }

    assert!(Arc::ptr_eq(&config(), &config()));
    config::evict().unwrap();
    assert_eq!(*config(), "run 1");
    let () = config::key();
}

#[test]
fn mutable_and_destructured_arguments_are_keyed_whole() {
    struct Point {
        x: i32,
        y: i32,
    }
    #[cached(skip(runs))]
    fn sum(mut n: u64, (a, b): (u64, u64), [c, ..]: [u64; 3], _: bool, runs: &Runs) -> u64 {
        runs.run();
        n += a + b + c;
        n
    }

    let runs = Runs::default();
    for _ in 0..2 {
        assert_eq!(sum(1, (2, 3), [4, 0, 0], true, &runs), 10);
        assert_eq!(sum(1, (2, 3), [4, 0, 1], true, &runs), 10);
        assert_eq!(sum(1, (2, 3), [4, 0, 0], false, &runs), 10);
    }
    assert_eq!(runs.count(), 3, "what the pattern leaves out is part of the key too");
    sum::evict(&1, &(2, 3), &[4, 0, 0], &true).unwrap();
    assert_eq!((sum(1, (2, 3), [4, 0, 0], true, &runs), runs.count()), (10, 4));

    #[cached(key(x: i32 = point.x))]
    fn only_x(point: &Point) -> i32 {
        point.x + point.y
    }
    assert_eq!(only_x(&Point { x: 1, y: 10 }), 11);
    assert_eq!(only_x(&Point { x: 1, y: 20 }), 11, "only x was asked for");
    only_x::evict(&Point { x: 1, y: 0 }).unwrap();
    assert_eq!(only_x(&Point { x: 1, y: 20 }), 21);
}

#[tokio::test]
async fn a_computed_key_is_computed_for_calls_and_verbs_alike() {
    #[cached(key(id, lang: String = lang.to_lowercase()), ttl = "1m")]
    async fn greeting(id: u64, lang: &str, not_in_the_key: u8) -> String {
        format!("{lang} {id} {not_in_the_key}")
    }

    assert_eq!(greeting(1, "EN", 0).await, "EN 1 0");
    assert_eq!(greeting(1, "en", 9).await, "EN 1 0");
    assert_eq!(greeting::key(&1, "En"), (1, "en".to_owned()));
    greeting::evict(&1, "eN").await.unwrap();
    assert_eq!(greeting(1, "en", 9).await, "en 1 9");
}

#[test]
fn a_float_can_be_a_key_by_its_bits() {
    #[cached(key(x: u64 = x.to_bits()))]
    fn half(x: f64) -> String {
        format!("{}", x / 2.0)
    }

    assert_eq!((half(3.0), half(3.0), half(-3.0)), ("1.5".to_owned(), "1.5".to_owned(), "-1.5".to_owned()));
    assert_eq!(half::stats().loads, 2);
}

#[tokio::test]
async fn a_body_may_move_its_arguments() {
    #[cached]
    async fn joined(parts: Vec<String>, mut more: String) -> String {
        let moved = parts;
        more.push('!');
        moved.into_iter().chain([more]).collect::<Vec<_>>().join("-")
    }

    for _ in 0..2 {
        assert_eq!(joined(vec!["a".into(), "b".into()], "c".into()).await, "a-b-c!");
    }
    assert_eq!(joined::stats().loads, 1);
}

#[tokio::test]
async fn the_future_of_a_call_can_be_sent() {
    #[cached]
    async fn sent(id: u64, text: String) -> String {
        tokio::task::yield_now().await;
        format!("{id}{text}")
    }

    let task = tokio::spawn(sent(1, "x".to_owned()));
    assert_eq!(task.await.unwrap(), "1x");
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    is_send(sent::evict(&1, &"x".to_owned())).await.unwrap();
    is_send(sent::refresh(1, "x".to_owned())).await;
}
