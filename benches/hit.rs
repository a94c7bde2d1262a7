//! The hits of `compare.rs` for criterion: `cargo bench -p hybridcache-benches --bench hit`.

use criterion::{Criterion, criterion_group, criterion_main};
use hybridcache_benches::cases::{ASYNC, COMPOSITE_HIT, PLAIN, QUICK, QUICK_COMPOSITE_HIT, SLIDING_HIT};

fn hit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    for (name, work) in [
        ("quick_cache by hand", QUICK.hit),
        ("plain fn", PLAIN.hit),
        ("async fn", ASYNC.hit),
        ("sliding", SLIDING_HIT),
        ("quick_cache by hand, key (&str, u64)", QUICK_COMPOSITE_HIT),
        ("plain fn, key (&str, u64)", COMPOSITE_HIT),
    ] {
        let mut work = work(1);
        group.bench_function(name, |bencher| bencher.iter_custom(&mut work));
    }
    group.finish();
}

criterion_group!(benches, hit);
criterion_main!(benches);
