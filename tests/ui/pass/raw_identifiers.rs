//! Raw identifiers, as names of functions, arguments and modules.
use hybridcache::{cache_evict, cached};

mod r#mod {
    #[hybridcache::cached]
    pub fn r#type(r#in: u64) -> u64 {
        r#in
    }
}

#[cached(key(r#fn: String = r#fn.to_owned()))]
fn r#match(r#fn: &str) -> usize {
    r#fn.len()
}

#[cache_evict(r#mod::r#type(r#in), r#match("ab"))]
fn r#loop(r#in: u64) {}

fn main() {
    assert_eq!((r#mod::r#type(7), r#match("ab")), (7, 2));
    assert_eq!((r#mod::r#type::peek(&7), r#match::peek("ab")), (Some(7), Some(2)));
    r#loop(7);
    assert_eq!((r#mod::r#type::peek(&7), r#match::peek("ab")), (None, None));
    assert!(r#mod::r#type::cache().name().ends_with("mod::type"));
}
