//! Generic functions: a store per instantiation.

use std::fmt;

use hybridcache::cached;
use hybridcache_tests::Runs;

trait Source: Send + Sync + 'static {
    const NAME: &'static str;
}
struct Left;
struct Right;
impl Source for Left {
    const NAME: &'static str = "left";
}
impl Source for Right {
    const NAME: &'static str = "right";
}

#[tokio::test]
async fn instances_with_equal_key_and_value_types_do_not_meet() {
    #[cached(skip(runs))]
    async fn from<S: Source>(id: u64, runs: &Runs) -> String {
        format!("{}-{id}-{}", S::NAME, runs.run())
    }

    let runs = Runs::default();
    for _ in 0..2 {
        assert_eq!(from::<Left>(7, &runs).await, "left-7-1");
        assert_eq!(from::<Right>(7, &runs).await, "right-7-2");
    }
    from::evict::<Left>(&7).await.unwrap();
    assert_eq!(from::peek::<Left>(&7).await, None);
    assert_eq!(from::peek::<Right>(&7).await.as_deref(), Some("right-7-2"));
    assert_eq!(from::stats::<Right>().hits, 1);
    let (left, right) = (from::cache::<Left>(), from::cache::<Right>());
    assert_ne!(left.name(), right.name());
    assert!(left.name().contains("::from<") && left.name().contains("Left"), "{}", left.name());
}

#[test]
fn values_keys_and_constants_may_be_generic() {
    #[cached]
    fn parsed<T>(text: &str) -> Option<T>
    where
        T: std::str::FromStr + Clone + Send + Sync + 'static,
    {
        text.parse().ok()
    }
    #[cached]
    fn repeated<K: Clone + std::hash::Hash + Eq + Send + Sync + fmt::Debug + 'static, const N: usize>(
        key: K,
    ) -> String {
        vec![format!("{key:?}"); N].join("")
    }

    for _ in 0..2 {
        assert_eq!(
            (parsed::<u8>("7"), parsed::<i64>("7"), parsed::<String>("7")),
            (Some(7), Some(7), Some("7".to_owned()))
        );
        assert_eq!(
            (repeated::<_, 2>('x'), repeated::<_, 3>('x'), repeated::<u8, 2>(7)),
            ("'x''x'".to_owned(), "'x''x''x'".to_owned(), "77".to_owned())
        );
    }
    assert_eq!((parsed::stats::<u8>().loads, parsed::stats::<i64>().loads), (1, 1));
    assert_eq!((repeated::stats::<char, 2>().loads, repeated::stats::<char, 3>().loads), (1, 1));
}

#[test]
fn more_instances_than_a_site_remembers_keep_their_stores() {
    #[cached(skip(runs))]
    fn numbered<const N: usize>(runs: &Runs) -> u64 {
        runs.run() + N as u64 * 100
    }
    macro_rules! all {
        ($($n:literal)*) => {{
            let runs = Runs::default();
            let first = [$(numbered::<$n>(&runs)),*];
            let second = [$(numbered::<$n>(&runs)),*];
            assert_eq!(first, second);
            assert_eq!(runs.count(), first.len() as u64);
        }};
    }
    all!(0 1 2 3 4 5 6 7 8 9 10 11 12);
}

#[tokio::test]
async fn lifetimes_are_not_instances() {
    #[cached]
    async fn longest<'a>(one: &'a str, other: &'a str) -> String {
        if one.len() > other.len() { one.to_owned() } else { other.to_owned() }
    }

    let owned = String::from("longer");
    assert_eq!(longest(&owned, "x").await, "longer");
    assert_eq!(longest("longer", "x").await, "longer");
    assert_eq!(longest::stats().loads, 1);
}
