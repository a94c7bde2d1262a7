//! Functions with `#[cached]`, `#[cache_evict]` and `#[cache_put]`.
// Arguments are passed by value, and bodies are odd, on purpose.
#![allow(clippy::ptr_arg, clippy::needless_pass_by_value)]

/// A function that is cached, by each test for itself.
macro_rules! cached_rows {
    () => {
        #[allow(unused)]
        #[cached]
        async fn row(id: u64, lang: &str) -> Result<String, String> {
            Ok(format!("{lang}-{id}"))
        }
        #[allow(unused)]
        #[cached]
        fn list(page: u64) -> Vec<u64> {
            vec![page]
        }
    };
}

/// Which of these keys a cached function has.
macro_rules! held {
    ($($id:literal)*) => {
        [$(row::peek(&$id, "en").await.is_some()),*]
    };
}

mod arguments;
mod errors;
mod functions;
mod generics;
mod methods;
mod options;
mod puts;
mod refresh;
mod returns;
mod writes;

use hybridcache::{Cache, Evicted, cached};
use hybridcache_tests::{Gate, Runs, until};

#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    id: u64,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NotFound(u64);

#[tokio::test]
async fn the_second_call_of_an_async_fn_is_a_hit() {
    #[cached(ttl = "60s", skip(runs))]
    async fn user(id: u64, lang: &str, runs: &Runs) -> Result<User, NotFound> {
        runs.run();
        if id == 0 {
            return Err(NotFound(id));
        }
        tokio::task::yield_now().await;
        Ok(User { id, name: format!("{lang}-{id}") })
    }

    let runs = Runs::default();
    for _ in 0..3 {
        assert_eq!(user(7, "en", &runs).await, Ok(User { id: 7, name: "en-7".to_owned() }));
    }
    assert_eq!(runs.count(), 1);
    assert_eq!(user(7, "de", &runs).await.unwrap().name, "de-7");
    assert_eq!(runs.count(), 2);
    assert_eq!(user::evict(&7, "en").await, Ok(Evicted::Acknowledged));
    user(7, "en", &runs).await.unwrap();
    user(7, "de", &runs).await.unwrap();
    assert_eq!(runs.count(), 3, "one was evicted, the other was not");
    for _ in 0..2 {
        assert_eq!(user(0, "en", &runs).await, Err(NotFound(0)));
    }
    assert_eq!(runs.count(), 5, "an error is not kept");
}

#[test]
fn the_second_call_of_a_plain_fn_is_a_hit() {
    #[cached(skip(runs))]
    fn square(n: u64, runs: &Runs) -> u64 {
        runs.run();
        n * n
    }

    let runs = Runs::default();
    for _ in 0..3 {
        assert_eq!(square(7, &runs), 49);
    }
    assert_eq!(square(8, &runs), 64);
    assert_eq!(runs.count(), 2);
    assert_eq!(square::evict(&7), Ok(Evicted::Acknowledged));
    assert_eq!((square(7, &runs), square(8, &runs), runs.count()), (49, 64, 3));
}

#[tokio::test]
async fn the_handle_of_an_async_fn_has_the_verbs() {
    #[cached(skip(runs))]
    async fn name(id: u64, lang: &str, runs: &Runs) -> Result<String, NotFound> {
        Ok(format!("{lang}-{id}-{}", runs.run()))
    }

    let runs = Runs::default();
    assert_eq!(name::peek(&7, "en").await, None);
    assert_eq!(name(7, "en", &runs).await.unwrap(), "en-7-1");
    assert_eq!(name::peek(&7, "en").await.as_deref(), Some("en-7-1"));
    name::put(&7, "en", "put".to_owned()).await.unwrap();
    assert_eq!(name(7, "en", &runs).await.unwrap(), "put");
    assert_eq!(name::refresh(7, "en", &runs).await.unwrap(), "en-7-2");
    assert_eq!(name::peek(&7, "en").await.as_deref(), Some("en-7-2"));
    assert_eq!(name::uncached(7, "en", &runs).await.unwrap(), "en-7-3");
    assert_eq!(name::peek(&7, "en").await.as_deref(), Some("en-7-2"), "the body itself keeps nothing");
    let write = name::write(&7, "en").await.unwrap();
    write.put("written".to_owned()).await.unwrap();
    assert_eq!(name(7, "en", &runs).await.unwrap(), "written");
    let stats = name::stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (2, 1, 1));
    assert_eq!(name::key(&7, "en"), (7, "en".to_owned()));
    let cache: Cache<(u64, String), String> = name::cache();
    assert_eq!(cache.get((&7, "en")).await.as_deref(), Some("written"));
    assert_eq!(name::clear().await, Ok(Evicted::Acknowledged));
    assert_eq!(name::peek(&7, "en").await, None);
}

#[test]
fn the_handle_of_a_plain_fn_has_the_verbs_as_plain_functions() {
    #[cached]
    fn length(text: &str) -> usize {
        text.len()
    }

    assert_eq!(length::peek("abc"), None);
    assert_eq!(length("abc"), 3);
    assert_eq!(length::peek("abc"), Some(3));
    length::put("abc", 4).unwrap();
    assert_eq!((length("abc"), length::uncached("abc")), (4, 3));
    assert_eq!((length::refresh("abc"), length("abc")), (3, 3));
    length::write("abc").unwrap().put_blocking(5).unwrap();
    assert_eq!(length("abc"), 5);
    length::write("abc").unwrap().cancel();
    assert_eq!(length("abc"), 5);
    drop(length::write("abc").unwrap());
    assert_eq!(length::peek("abc"), None);
    assert_eq!(length::key("abc"), "abc".to_owned());
    length("abc");
    length::clear().unwrap();
    assert_eq!((length::cache().len(), length::stats().entries), (0, 0));
}

#[tokio::test]
async fn ten_thousand_callers_of_an_annotated_function_run_its_body_once() {
    #[cached(skip(runs, gate))]
    async fn slow(id: u64, runs: &Runs, gate: &Gate) -> u64 {
        gate.pass().await;
        runs.run() + id
    }

    let (runs, gate) = (Runs::default(), Gate::default());
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let (runs, gate) = (runs.clone(), gate.clone());
            tokio::spawn(async move { slow(10, &runs, &gate).await })
        })
        .collect();
    until("everybody but one waits", || slow::stats().waits == 9_999).await;
    gate.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 11);
    }
    assert_eq!(runs.count(), 1);
}
