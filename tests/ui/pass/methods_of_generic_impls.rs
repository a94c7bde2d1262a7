//! Methods of generic impls: a store for each type.
use std::marker::PhantomData;

use hybridcache::{cache_evict, cached};
use hybridcache_tests::block_on;

trait Table: Send + Sync + 'static {
    const NAME: &'static str;
}

struct Users;
struct Orders;

impl Table for Users {
    const NAME: &'static str = "users";
}

impl Table for Orders {
    const NAME: &'static str = "orders";
}

struct Repo<T>(PhantomData<T>);

impl<T: Table> Repo<T> {
    #[cached(skip(self))]
    pub async fn row(&self, id: u64) -> Option<String> {
        Some(format!("{}/{id}", T::NAME))
    }

    #[cached(skip(self))]
    pub fn as_type<V: From<u8> + Clone + Send + Sync + 'static>(&self, id: u8) -> V {
        V::from(id)
    }

    #[cache_evict(self.row(id), self.as_type::<u64>(id as u8))]
    async fn forget(&self, id: u64) {}
}

#[cache_evict(<Repo<Users>>::row(..))]
fn forget_users() {}

fn main() {
    let (users, orders) = (Repo::<Users>(PhantomData), Repo::<Orders>(PhantomData));
    block_on(async {
        assert_eq!(users.row(1).await.as_deref(), Some("users/1"));
        assert_eq!(orders.row(1).await.as_deref(), Some("orders/1"));
        assert_eq!((users.as_type::<u64>(1), users.as_type::<u32>(1)), (1, 1));
        users.forget(1).await;
        assert!(Repo::<Users>::row_cache().is_empty() && Repo::<Users>::as_type_cache::<u64>().is_empty());
        assert_eq!(Repo::<Users>::as_type_cache::<u32>().len(), 1);
        assert_eq!(Repo::<Orders>::row_cache().len(), 1);
        users.row(2).await;
        forget_users();
        assert!(Repo::<Users>::row_cache().is_empty());
    });
}
