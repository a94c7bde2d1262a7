//! Functions that come out of `macro_rules!`: types, blocks, paths and literals are wrapped in invisible groups there.
use hybridcache::{cache_evict, cache_put, cached};

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

/// What the attributes say comes from the caller, `self` and `result` too; what they stand on does not.
macro_rules! passed_on {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident(&$self:ident, $arg:ident: $ty:ty) -> $returned:ty $body:block)*) => {
        impl Tenant {$(
            $(#[$meta])*
            $vis fn $name(&$self, $arg: $ty) -> $returned $body
        )*}
    };
}

struct Tenant(u64);

passed_on! {
    #[cached(key(tenant: u64 = self.0, id))]
    pub fn user(&self, id: u64) -> u64 { self.0 + id }

    #[cache_evict(self.user(*result), of_a_crate::number(load(|result| result)))]
    fn rename(&self, id: u64) -> u64 { id }

    #[cache_put(self.user(id) = result + 1, self.user(result + 1) = format!("{result}").len() as u64)]
    fn update(&self, id: u64) -> u64 { id + 1 }
}

fn load(with: impl Fn(u64) -> u64) -> u64 {
    with(1)
}

fn main() {
    for _ in 0..2 {
        assert_eq!((length("ab"), first(&[1, 2]), parsed(Some("7"))), (2, Some(1), Ok(7)));
        assert!(parsed(Some("x")).is_err());
    }
    assert_eq!((length::stats().hits, first::stats().hits, parsed::stats().hits), (1, 1, 1));
    of_a_crate::number(1);
    of_a_crate::number(2);
    assert_eq!((double(2), add((1, 2)), of_a_crate::number::stats().entries), (4, Some(3), 0));
    let tenant = Tenant(10);
    assert_eq!((tenant.user(1), tenant.update(1), tenant.user(1), tenant.user(3)), (11, 2, 3, 1));
    assert_eq!((tenant.rename(1), tenant.user(1), tenant.user_key(&1)), (1, 11, (10, 1)));
}
