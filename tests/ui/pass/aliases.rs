//! Aliases of return types: `returns`, `value`, and those that are seen through.
use std::fmt;
use std::io;

use hybridcache::cached;
use hybridcache_tests::block_on;

type Answer = Result<u64, String>;
type Perhaps = Option<u64>;
type Nested = Result<Option<u64>, String>;
type Name = String;

mod api {
    pub type Result<T> = std::result::Result<T, String>;
}

#[cached(returns = result)]
fn answer(id: u64) -> Answer {
    if id == 0 { Err("zero".to_owned()) } else { Ok(id) }
}

#[cached(returns = option)]
async fn perhaps(id: u64) -> Perhaps {
    (id > 0).then_some(id)
}

#[cached(value = u64)]
fn nested(id: u64) -> Nested {
    Ok((id > 0).then_some(id))
}

#[cached(returns = plain)]
fn whole(id: u64) -> Answer {
    if id == 0 { Err("zero".to_owned()) } else { Ok(id) }
}

#[cached]
fn name(id: u64) -> Name {
    id.to_string()
}

#[cached]
fn with_one_parameter(id: u64) -> io::Result<u64> {
    Ok(id)
}

#[cached]
fn of_the_api(id: u64) -> api::Result<Option<u64>> {
    Ok((id > 0).then_some(id))
}

#[cached]
fn without_parameters(id: u64) -> fmt::Result {
    if id == 0 { Err(fmt::Error) } else { Ok(()) }
}

#[cached(returns = plain)]
fn plain_option(id: u64) -> Option<u64> {
    (id > 0).then_some(id)
}

#[cached(value = Option<u64>)]
fn kept_option(id: u64) -> Result<Option<u64>, String> {
    Ok((id > 0).then_some(id))
}

fn main() {
    for _ in 0..2 {
        assert_eq!((answer(0).is_err(), answer(1)), (true, Ok(1)));
        assert_eq!((nested(0), nested(1)), (Ok(None), Ok(Some(1))));
        assert_eq!((whole(0).is_err(), whole(1)), (true, Ok(1)));
        assert_eq!((name(1), with_one_parameter(1).unwrap(), of_the_api(1)), ("1".to_owned(), 1, Ok(Some(1))));
        assert_eq!((of_the_api(0), without_parameters(0).is_err(), without_parameters(1)), (Ok(None), true, Ok(())));
        assert_eq!((plain_option(0), plain_option(1)), (None, Some(1)));
        assert_eq!((kept_option(0), kept_option(1)), (Ok(None), Ok(Some(1))));
        block_on(async { assert_eq!((perhaps(0).await, perhaps(1).await), (None, Some(1))) });
    }
    let hits = [answer::stats().hits, perhaps::stats().hits, nested::stats().hits, of_the_api::stats().hits];
    assert_eq!(hits, [1; 4], "only what is inside is kept");
    assert_eq!(
        [whole::stats().hits, plain_option::stats().hits, kept_option::stats().hits],
        [2; 3],
        "the whole is kept"
    );
    assert_eq!(answer::peek(&1), Some(1_u64));
    assert_eq!(whole::peek(&0), Some(Err("zero".to_owned())));
}
