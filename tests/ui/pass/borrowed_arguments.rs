//! What is borrowed is looked up as it is and kept as what owns it.
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hybridcache::cached;

#[cached]
fn text(x: &str) -> usize {
    x.len()
}

#[cached]
fn text_twice(x: &&str) -> usize {
    x.len()
}

#[cached]
fn optional(x: Option<&str>) -> usize {
    x.map_or(0, str::len)
}

#[cached]
fn optional_behind(x: &Option<&str>) -> usize {
    x.map_or(0, str::len)
}

#[cached]
fn slice(x: &[u64]) -> u64 {
    x.iter().sum()
}

#[cached]
fn slice_of_strings(x: &[String]) -> usize {
    x.len()
}

#[cached]
fn array(x: [u8; 4]) -> u8 {
    x[0]
}

#[cached]
fn array_behind(x: &[u8; 4]) -> u8 {
    x[0]
}

#[cached]
fn cow(x: Cow<'_, str>) -> usize {
    x.len()
}

#[cached]
fn cow_of_bytes(x: Cow<'_, [u8]>) -> usize {
    x.len()
}

#[cached]
fn counted(x: Arc<str>) -> usize {
    x.len()
}

#[cached]
fn counted_behind(x: &Arc<str>) -> usize {
    x.len()
}

#[cached]
fn path(x: &Path) -> usize {
    x.as_os_str().len()
}

#[cached]
fn path_buf(x: &PathBuf) -> usize {
    x.as_os_str().len()
}

#[cached]
fn tuple(x: (u64, &str)) -> usize {
    x.1.len()
}

#[cached]
fn nested(x: (u64, Option<&str>, (&[u8], &str))) -> usize {
    x.2.0.len()
}

#[cached]
fn fixed(x: &'static str) -> &'static str {
    x
}

#[cached]
fn list(x: Vec<&'static str>) -> usize {
    x.len()
}

fn main() {
    for _ in 0..2 {
        assert_eq!(text("ab"), 2);
        assert_eq!(text_twice(&"ab"), 2);
        assert_eq!(optional(Some("ab")), 2);
        assert_eq!(optional(None), 0);
        assert_eq!(optional_behind(&Some("ab")), 2);
        assert_eq!(slice(&[1, 2]), 3);
        assert_eq!(slice_of_strings(&["a".to_owned()]), 1);
        assert_eq!(array([1; 4]), 1);
        assert_eq!(array_behind(&[1; 4]), 1);
        assert_eq!(cow("ab".into()), 2);
        assert_eq!(cow_of_bytes(Cow::Borrowed(b"ab")), 2);
        assert_eq!(counted("ab".into()), 2);
        assert_eq!(counted_behind(&"ab".into()), 2);
        assert_eq!(path(Path::new("ab")), 2);
        assert_eq!(path_buf(&PathBuf::from("ab")), 2);
        assert_eq!(tuple((1, "ab")), 2);
        assert_eq!(nested((1, None, (b"ab", "c"))), 2);
        assert_eq!(fixed("ab"), "ab");
        assert_eq!(list(vec!["ab"]), 1);
    }
    assert_eq!(text::key("ab"), "ab".to_owned());
    assert_eq!(cow::key("ab"), "ab".to_owned());
    assert_eq!(path::key(Path::new("ab")), PathBuf::from("ab"));
    assert_eq!(tuple::key(&(1, "ab")), (1, "ab".to_owned()));
    let hits = [
        text::stats().hits,
        text_twice::stats().hits,
        optional_behind::stats().hits,
        slice::stats().hits,
        array::stats().hits,
        cow::stats().hits,
        counted::stats().hits,
        path::stats().hits,
        tuple::stats().hits,
        nested::stats().hits,
        list::stats().hits,
    ];
    assert_eq!(hits, [1; 11]);
    assert_eq!(optional::stats().hits, 2);
}
