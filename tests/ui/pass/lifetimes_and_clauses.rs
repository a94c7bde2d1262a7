//! Named lifetimes, `where` clauses, bounds between lifetimes, lifetimes that a function binds, errors that are borrowed.
use std::sync::Arc;

use hybridcache::cached;
use hybridcache_tests::block_on;

#[cached]
fn longest<'a, 'b: 'a>(left: &'a str, right: &'b str) -> String
where
    'b: 'a,
{
    if left.len() > right.len() { left.to_owned() } else { right.to_owned() }
}

#[cached]
async fn join<'a, T>(parts: &'a [T], with: &str) -> Option<String>
where
    T: AsRef<str> + Clone + Eq + std::hash::Hash + Send + Sync + 'static,
    [T]: ToOwned<Owned = Vec<T>>,
{
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    (!parts.is_empty()).then(|| parts.join(with))
}

#[cached]
fn filter(length: usize) -> Arc<dyn Fn(&str) -> bool + Send + Sync> {
    Arc::new(move |text| text.len() == length)
}

#[cached]
fn trim(of: fn_of::Kind) -> Option<for<'a> fn(&'a str) -> &'a str> {
    matches!(of, fn_of::Kind::Text).then_some(str::trim)
}

mod fn_of {
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Kind {
        Text,
    }
}

#[derive(Clone, Debug)]
struct ParseError<'a>(&'a str);

#[cached]
fn parse(text: &str) -> Result<u64, ParseError<'_>> {
    text.parse().map_err(|_| ParseError(text))
}

#[cached(handle = false)]
async fn parse_later<'a>(text: &'a str) -> Result<u64, ParseError<'a>> {
    text.parse().map_err(|_| ParseError(text))
}

fn main() {
    assert_eq!(longest("ab", "c"), "ab");
    assert_eq!(longest("ab", "c"), "ab");
    assert_eq!(longest::stats().hits, 1);
    block_on(async {
        assert_eq!(join(&["a", "b"], "-").await.as_deref(), Some("a-b"));
        assert_eq!(join(&["a".to_owned()], "-").await.as_deref(), Some("a"));
        assert_eq!(join::peek(&["a", "b"], "-").await.as_deref(), Some("a-b"));
        join::evict(&["a", "b"], "-").await.unwrap();
        assert_eq!(join::peek(&["a", "b"], "-").await, None);
    });
    for _ in 0..2 {
        let text = String::from("x");
        assert_eq!((parse("7").unwrap(), parse(&text).unwrap_err().0), (7, "x"));
        assert_eq!(block_on(parse_later(&text)).unwrap_err().0, "x");
        assert!(filter(1)(&text) && !filter(1)("ab"));
        assert_eq!(trim(fn_of::Kind::Text).map(|trim| trim(" a ").len()), Some(1));
    }
    assert_eq!([parse::stats().hits, filter::stats().hits, trim::stats().hits], [1, 3, 1]);
}
