use super::*;

fn text(cache: &str, key: &str) -> Text {
    Text { cache: cache.into(), key: key.as_bytes().into() }
}

fn keys(cache: &str, keys: &[&str]) -> Body {
    Body::Keys(keys.iter().map(|key| text(cache, key)).collect())
}

#[test]
fn each_key_is_owed_once() {
    let mut owed = Deferred::new(10);
    for _ in 0..3 {
        owed.add(&keys("users", &["a", "b"]));
    }
    owed.validate();
    assert!(owed.owes("users", b"a") && !owed.owes("users", b"c") && !owed.owes("orders", b"a"));
    assert_eq!(owed.take(), Some(keys("users", &["a", "b"])));
    assert!(owed.owes("users", b"a"), "it is under way");
    assert_eq!(owed.len(), 2);
    owed.settle(true);
    assert_eq!((owed.len(), owed.is_empty()), (0, true));
}

#[test]
fn too_many_keys_become_a_clear_of_their_cache() {
    let mut owed = Deferred::new(3);
    owed.add(&keys("users", &["a", "b"]));
    owed.add(&keys("orders", &["1"]));
    assert!(!owed.owes("orders", b"any"), "as many as it may name");
    owed.add(&keys("orders", &["2"]));
    owed.validate();
    assert!(owed.owes("orders", b"any") && owed.owes("users", b"a") && !owed.owes("users", b"c"));
    assert_eq!(owed.len(), 3, "two keys and a cache");
    assert_eq!(owed.drain(), [Body::Clear("orders".into()), keys("users", &["a", "b"])]);
    assert!(owed.is_empty());
}

#[test]
fn a_clear_of_every_cache_is_everything() {
    let mut owed = Deferred::new(3);
    owed.add(&keys("users", &["a"]));
    owed.add(&Body::Floor);
    owed.add(&keys("orders", &["1"]));
    owed.add(&Body::Clear("orders".into()));
    owed.validate();
    assert!(owed.owes("whatever", b"x"));
    assert_eq!(owed.take(), Some(Body::Clear(EVERY_CACHE.into())));
    assert!(owed.owes("whatever", b"x"), "it is under way");
    owed.settle(true);
    assert!(owed.is_empty());
}

#[test]
fn what_is_added_while_its_like_is_under_way_stays_owed() {
    let mut owed = Deferred::new(10);
    owed.add(&keys("users", &["a"]));
    owed.take();
    assert_eq!(owed.take(), None, "one at a time");
    owed.add(&keys("users", &["a"]));
    owed.settle(true);
    assert!(owed.owes("users", b"a"), "the second write came after what was sent");
    owed.take();
    owed.settle(false);
    assert!(owed.owes("users", b"a"));
    owed.validate();
}

#[test]
fn what_somebody_else_sent_is_not_owed() {
    let mut owed = Deferred::new(10);
    owed.add(&keys("users", &["a", "b"]));
    owed.add(&Body::Clear("orders".into()));
    owed.remove(&keys("users", &["a", "x"]));
    owed.remove(&Body::Clear("orders".into()));
    owed.remove(&Body::Floor);
    owed.validate();
    assert_eq!(owed.drain(), [keys("users", &["b"])]);
    owed.add(&keys("users", &["a"]));
    owed.remove(&Body::Clear(EVERY_CACHE.into()));
    assert!(owed.is_empty());
}

#[test]
fn batches_are_of_a_thousand() {
    let mut owed = Deferred::new(10_000);
    for key in 0..2_500 {
        owed.add(&keys("users", &[&key.to_string()]));
    }
    let sizes: Vec<usize> = owed.drain().iter().map(Body::weight).collect();
    assert_eq!(sizes, [1_000, 1_000, 500]);
}

#[test]
fn a_batch_is_of_one_cache() {
    let mut owed = Deferred::new(10);
    owed.add(&Body::Keys([text("users", "a"), text("orders", "1"), text("users", "b")].into()));
    assert_eq!(owed.drain(), [keys("orders", &["1"]), keys("users", &["a", "b"])]);
    assert!(owed.is_empty());
}
