//! Functions that come out of `macro_rules!`: types, blocks, paths and literals are wrapped in invisible groups there.
use hybridcache::{cache_evict, cached};

macro_rules! loaders {
    ($($name:ident($arg:ident: $ty:ty) -> $returned:ty, $ttl:literal, $weigh:expr => $body:expr;)*) => {$(
        #[cached(ttl = $ttl, max_weight = "1MiB", weigh = $weigh)]
        fn $name($arg: $ty) -> $returned { $body }
    )*};
}

loaders! {
    length(text: &str) -> usize, "60s", |_, _| 1 => text.len();
    first(list: &[u64]) -> Option<u64>, "1m", |_, value| *value => list.first().copied();
    parsed(text: Option<&str>) -> Result<u64, std::num::ParseIntError>, "5s", |_, _| 1 => text.unwrap_or("0").parse();
}

mod of_a_crate {
    #[hybridcache::cached]
    pub fn number(id: u64) -> u64 {
        id
    }
}

macro_rules! whole {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($arg:pat, $ty:ty) -> $returned:ty $body:block, $evicts:path, $key:expr) => {
        $(#[$meta])*
        #[cached]
        #[cache_evict($evicts($key))]
        $vis fn $name($arg: $ty) -> $returned $body
    };
}

whole!(
    /// Doubles.
    #[must_use]
    pub fn double(id, u64) -> u64 { id * 2 }, of_a_crate::number, 1
);
whole!(fn add((left, right), (u64, u64)) -> Option<u64> { left.checked_add(right) }, self::of_a_crate::number, 1 + 1);

fn main() {
    for _ in 0..2 {
        assert_eq!((length("ab"), first(&[1, 2]), parsed(Some("7"))), (2, Some(1), Ok(7)));
        assert!(parsed(Some("x")).is_err());
    }
    assert_eq!((length::stats().hits, first::stats().hits, parsed::stats().hits), (1, 1, 1));
    of_a_crate::number(1);
    of_a_crate::number(2);
    assert_eq!((double(2), add((1, 2)), of_a_crate::number::stats().entries), (4, Some(3), 0));
}
