//! Every form of a target, arguments that the body moves, and results.
use hybridcache::{cache_evict, cached};
use hybridcache_tests::block_on;

mod db {
    #[hybridcache::cached]
    pub async fn user(id: u64, lang: &str) -> String {
        format!("{id}{lang}")
    }

    #[hybridcache::cached]
    pub fn typed<T: Default + Clone + Send + Sync + 'static>(id: u64) -> T {
        let _ = id;
        T::default()
    }
}

#[cached]
fn names(list: &[String], of: Option<&str>) -> usize {
    list.len() + of.map_or(0, str::len)
}

#[cache_evict(db::user(id, &lang), names(&names_of, &Some("x")), db::typed::<u8>(id), db::typed::<u16>(..))]
async fn moves(id: u64, lang: String, names_of: Vec<String>) -> Result<(), ()> {
    drop((lang, names_of));
    Ok(())
}

#[cache_evict(self::db::user(result.0, result.1), db::typed::<u8>(result.0))]
fn of_result(fail: bool) -> Result<(u64, &'static str), ()> {
    if fail { Err(()) } else { Ok((1, "en")) }
}

#[cache_evict(db::user(*result, "en"))]
fn of_borrowed_result<'a>(ids: &'a [u64]) -> Option<&'a u64> {
    ids.first()
}

#[cache_evict(db::user(1, "en"))]
fn of_impl_trait(upto: u64) -> impl Iterator<Item = u64> {
    0..upto
}

#[cache_evict(db::user(1, "en"))]
unsafe fn of_unsafe() {}

#[cache_evict(db::user(1, "en"))]
fn generic<T: Into<u64>>(id: T, count: &mut u64) -> u64 {
    *count += 1;
    id.into()
}

#[cache_evict(db::user(1, "en"))]
fn of_a_mutable_borrow(list: &mut Vec<u64>) -> Option<&mut u64> {
    list.first_mut()
}

async fn fill() {
    db::user(1, "en").await;
    names(&["a".to_owned()], Some("x"));
    (db::typed::<u8>(1), db::typed::<u16>(1));
}

async fn kept() -> [bool; 4] {
    [
        db::user::peek(&1, "en").await.is_some(),
        names::peek(&["a".to_owned()], &Some("x")).is_some(),
        db::typed::peek::<u8>(&1).is_some(),
        db::typed::peek::<u16>(&1).is_some(),
    ]
}

fn main() {
    block_on(async {
        fill().await;
        assert_eq!(kept().await, [true; 4]);
        moves(1, "en".to_owned(), vec!["a".to_owned()]).await.unwrap();
        assert_eq!(kept().await, [false; 4]);
        fill().await;
        of_result(true).unwrap_err();
        assert_eq!(kept().await, [true; 4]);
        of_result(false).unwrap();
        assert_eq!(kept().await, [false, true, false, true]);
        fill().await;
        assert_eq!(of_borrowed_result(&[]), None);
        assert!(kept().await[0]);
        assert_eq!(of_borrowed_result(&[1]), Some(&1));
        assert!(!kept().await[0]);
        fill().await;
        assert_eq!(of_impl_trait(3).count(), 3);
        assert!(!kept().await[0]);
        fill().await;
        let mut count = 0;
        assert_eq!((generic(1_u8, &mut count), count), (1, 1));
        assert!(!kept().await[0]);
        fill().await;
        *of_a_mutable_borrow(&mut vec![1]).unwrap() = 2;
        assert!(!kept().await[0]);
        fill().await;
        unsafe { of_unsafe() };
        assert!(!kept().await[0]);
    });
}
