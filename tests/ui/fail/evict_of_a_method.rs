#![allow(unused_variables)]

use hybridcache::{cache_evict, cached};

pub struct Users;

impl Users {
    #[cached(skip(self))]
    pub async fn user(&self, id: u64) -> u64 { id }

    #[cached(skip(self))]
    async fn order(&self, id: u64) -> u64 { id }

    #[cache_evict(user(id))]
    async fn forgets_self(&self, id: u64) {}

    #[cache_evict(Users::user(id))]
    async fn forgets_brackets(&self, id: u64) {}

    #[cache_evict(self.order(id))]
    async fn has_no_companions(&self, id: u64) {}

    #[cache_evict(Self::order(id))]
    async fn has_none_on_its_type(&self, id: u64) {}

    #[cache_evict(<Users as Clone>::user(id))]
    async fn of_a_trait(&self, id: u64) {}
}

fn main() {}
