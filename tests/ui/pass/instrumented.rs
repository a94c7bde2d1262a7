//! `tracing::instrument` above and below.
use hybridcache::{cache_evict, cached};
use hybridcache_tests::block_on;

#[tracing::instrument]
#[cached]
fn above(id: u64) -> u64 {
    id
}

#[cached]
#[tracing::instrument(skip(pool))]
async fn below(#[allow(unused)] pool: u8, id: u64) -> Result<u64, std::io::Error> {
    Ok(id)
}

struct Users;

impl Users {
    #[tracing::instrument(skip_all)]
    #[cached(skip(self))]
    #[tracing::instrument(skip_all)]
    pub async fn both(&self, id: u64) -> u64 {
        id
    }

    #[tracing::instrument(skip_all)]
    #[cache_evict(self.both(id), above(id))]
    async fn evicts(&self, id: u64) {}
}

fn main() {
    block_on(async {
        for _ in 0..2 {
            assert_eq!((above(1), below(0, 2).await.unwrap(), Users.both(3).await), (1, 2, 3));
        }
        assert_eq!((above::stats().hits, below::stats().hits, Users::both_cache().stats().hits), (1, 1, 1));
        Users.evicts(1).await;
        assert_eq!((above::peek(&1), Users::both_cache().len()), (None, 1));
    });
}
