//! Named lifetimes, `where` clauses, bounds between lifetimes.
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
}
