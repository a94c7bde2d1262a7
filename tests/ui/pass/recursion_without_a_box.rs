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

fn main() {
    on_tokio(0, async || assert_eq!(fibonacci(50).await, 12_586_269_025));
}
