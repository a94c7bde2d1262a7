//! A generic function has a store for each of its instances, also where key and value types are the same.
use hybridcache::cached;

trait Unit {
    const FACTOR: u64;
}

struct Metres;
struct Feet;

impl Unit for Metres {
    const FACTOR: u64 = 1;
}

impl Unit for Feet {
    const FACTOR: u64 = 3;
}

#[cached(name = "convert")]
fn convert<U: Unit + 'static>(length: u64) -> u64 {
    length * U::FACTOR
}

#[cached]
fn padded<const N: usize>(text: &str) -> String {
    format!("{text:N$}")
}

#[cached]
fn first<T: Clone + Send + Sync + Eq + std::hash::Hash + 'static, const N: usize>(items: [T; N]) -> Option<T> {
    items.first().cloned()
}

fn main() {
    for _ in 0..2 {
        assert_eq!((convert::<Metres>(2), convert::<Feet>(2)), (2, 6));
        assert_eq!((padded::<3>("a"), padded::<4>("a")), ("a  ".to_owned(), "a   ".to_owned()));
        assert_eq!((first(["a"]), first([1, 2]), first::<u8, 0>([])), (Some("a"), Some(1), None));
    }
    assert_eq!(convert::stats::<Feet>().hits, 1);
    convert::evict::<Metres>(&2).unwrap();
    assert_eq!((convert::peek::<Metres>(&2), convert::peek::<Feet>(&2)), (None, Some(6)));
    assert_ne!(convert::cache::<Metres>().name(), convert::cache::<Feet>().name());
    padded::clear::<3>().unwrap();
    assert_eq!((padded::peek::<3>("a"), padded::peek::<4>("a")), (None, Some("a   ".to_owned())));
}
