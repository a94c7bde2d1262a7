//! A function that calls itself: with smaller arguments, with the same, async and spawned.
use hybridcache::cached;
use hybridcache_tests::on_tokio;

#[cached]
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

#[cached]
async fn sum(n: u64) -> u64 {
    if n == 0 { 0 } else { n + Box::pin(sum(n - 1)).await }
}

#[cached]
async fn even(n: u64) -> bool {
    n == 0 || Box::pin(odd(n - 1)).await
}

#[cached]
async fn odd(n: u64) -> bool {
    n != 0 && Box::pin(even(n - 1)).await
}

struct Tree;

impl Tree {
    #[cached(skip(self))]
    pub fn depth(&self, of: u64) -> u64 {
        if of <= 1 { 0 } else { 1 + self.depth(of / 2) }
    }
}

fn main() {
    assert_eq!(fibonacci(90), 2_880_067_194_370_816_120);
    assert_eq!(Tree.depth(1024), 10);
    on_tokio(2, async || {
        assert_eq!(sum(20).await, 210);
        assert!(even(10).await);
        let tasks: Vec<_> = (0..8).map(|n| tokio::spawn(sum(30 + n % 2))).collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), [465, 496][n % 2]);
        }
    });
}
