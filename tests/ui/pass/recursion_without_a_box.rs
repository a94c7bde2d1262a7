//! The miss path is boxed by the library, so an async function can call itself without a box.
use hybridcache::cached;
use hybridcache_tests::on_tokio;

#[cached]
async fn fibonacci(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    fibonacci(n - 1).await + fibonacci(n - 2).await
}

#[cached(when = n > 1)]
async fn past_the_cache(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    past_the_cache(n - 1).await + past_the_cache(n - 2).await
}

struct Numbers;

impl Numbers {
    #[cached(skip(self), when = n > 1)]
    pub async fn fibonacci(&self, n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        self.fibonacci(n - 1).await + self.fibonacci(n - 2).await
    }
}

fn main() {
    on_tokio(0, async || {
        assert_eq!(fibonacci(50).await, 12_586_269_025);
        assert_eq!((past_the_cache(20).await, Numbers.fibonacci(20).await), (6_765, 6_765));
    });
}
