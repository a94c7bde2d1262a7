//! Bodies and arguments that cannot leave their thread, and errors that can do nothing at all.
use std::cell::RefCell;
use std::rc::Rc;

use hybridcache::{cache_evict, cached};
use hybridcache_tests::on_tokio;

#[derive(Debug)]
struct Mute(#[allow(dead_code)] Rc<str>);

#[cached(skip(log))]
async fn user(log: Rc<RefCell<Vec<u64>>>, id: u64) -> Result<u64, Mute> {
    let held = Rc::clone(&log);
    tokio::task::yield_now().await;
    held.borrow_mut().push(id);
    if id == 0 { Err(Mute("zero".into())) } else { Ok(id) }
}

#[cache_evict(user(id))]
async fn rename(log: Rc<RefCell<Vec<u64>>>, id: u64) -> Result<(), Mute> {
    tokio::task::yield_now().await;
    log.borrow_mut().push(id);
    Ok(())
}

fn main() {
    on_tokio(0, async || {
        let log = Rc::default();
        let both = tokio::join!(user(Rc::clone(&log), 1), user(Rc::clone(&log), 1));
        assert_eq!((both.0.unwrap(), both.1.unwrap()), (1, 1));
        assert!(user(Rc::clone(&log), 0).await.is_err());
        assert_eq!(*log.borrow(), [1, 0]);
        rename(Rc::clone(&log), 1).await.unwrap();
        assert_eq!(user::peek(&1).await, None);
    });
}
