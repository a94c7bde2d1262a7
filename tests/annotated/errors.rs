//! How those who wait for a load that fails get its error.

use std::fmt;
use std::io;

use hybridcache::{SharedError, cached};
use hybridcache_tests::{Gate, Runs, until};

use super::NotFound;

/// Fifty callers of a body that fails: how many bodies ran, and what each got.
macro_rules! fifty {
    ($function:ident, $waits:expr) => {{
        let (runs, gate) = (Runs::default(), Gate::default());
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let (runs, gate) = (runs.clone(), gate.clone());
                tokio::spawn(async move { $function(7, &runs, &gate).await.unwrap_err() })
            })
            .collect();
        until("everybody but one waits", || $function::stats().waits == $waits).await;
        gate.open();
        let mut errors = Vec::new();
        for caller in callers {
            errors.push(caller.await.unwrap());
        }
        (runs.count(), errors)
    }};
}

async fn fail<E>(runs: &Runs, gate: &Gate, error: E) -> Result<u64, E> {
    gate.pass().await;
    runs.run();
    Err(error)
}

#[tokio::test]
async fn by_clone_by_text_by_kind_or_by_function() {
    #[cached(skip(runs, gate))]
    async fn cloned(id: u64, runs: &Runs, gate: &Gate) -> Result<u64, NotFound> {
        fail(runs, gate, NotFound(id)).await
    }
    let (runs, errors) = fifty!(cloned, 49);
    assert_eq!((runs, errors), (1, vec![NotFound(7); 50]));

    #[cached(skip(runs, gate))]
    async fn of_io(id: u64, runs: &Runs, gate: &Gate) -> io::Result<u64> {
        fail(runs, gate, io::Error::new(io::ErrorKind::NotFound, format!("row {id}"))).await
    }
    let (runs, errors) = fifty!(of_io, 49);
    assert_eq!(runs, 1);
    assert!(errors.iter().all(|error| error.kind() == io::ErrorKind::NotFound && error.to_string() == "row 7"));

    #[cached(skip(runs, gate))]
    async fn by_text(id: u64, runs: &Runs, gate: &Gate) -> anyhow::Result<u64> {
        fail(runs, gate, anyhow::anyhow!("row {id}")).await
    }
    let (runs, errors) = fifty!(by_text, 49);
    assert_eq!(runs, 1);
    assert!(errors.iter().all(|error| error.to_string() == "row 7"));

    #[derive(Debug)]
    struct Wrapped(String);
    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }
    impl From<SharedError> for Wrapped {
        fn from(error: SharedError) -> Self {
            Self(format!("shared: {error}"))
        }
    }
    #[cached(skip(runs, gate))]
    async fn wrapped(id: u64, runs: &Runs, gate: &Gate) -> Result<u64, Wrapped> {
        fail(runs, gate, Wrapped(format!("row {id}"))).await
    }
    let (runs, errors) = fifty!(wrapped, 49);
    let shared = errors.iter().filter(|error| error.0 == "shared: row 7").count();
    assert_eq!((runs, shared), (1, 49));

    #[derive(Debug)]
    struct Odd(u64);
    #[cached(share_err = |error| Odd(error.0), skip(runs, gate))]
    async fn by_function(id: u64, runs: &Runs, gate: &Gate) -> Result<u64, Odd> {
        fail(runs, gate, Odd(id)).await
    }
    let (runs, errors) = fifty!(by_function, 49);
    assert_eq!(runs, 1);
    assert!(errors.iter().all(|error| error.0 == 7));

    #[cached(skip(runs, gate))]
    async fn boxed(id: u64, runs: &Runs, gate: &Gate) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        fail(runs, gate, format!("row {id}").into()).await
    }
    let (runs, errors) = fifty!(boxed, 49);
    assert_eq!(runs, 1);
    assert!(errors.iter().all(|error| error.to_string() == "row 7"));
}

#[tokio::test]
async fn or_not_at_all_and_then_each_runs_its_own() {
    #[derive(Debug)]
    struct Lonely;
    #[cached(skip(runs, gate))]
    async fn lonely(_id: u64, runs: &Runs, gate: &Gate) -> Result<u64, Lonely> {
        fail(runs, gate, Lonely).await
    }
    let (runs, errors) = fifty!(lonely, 49);
    assert_eq!((runs, errors.len()), (50, 50));
}
