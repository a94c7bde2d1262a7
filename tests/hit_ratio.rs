//! What the store decides to keep is as good as what bare quick_cache keeps: lifetimes, weights and flights cost no hits.

use std::time::Duration;

use hybridcache::Cache;
use quick_cache::sync::Cache as QuickCache;

/// The larger one has four times as many shards as quick_cache.
const CAPACITIES: [u64; 2] = [1_000, 10_000];
const REQUESTS: u64 = 400_000;

/// Sessions: bursts over a few popular keys of eight-fold the capacity, whose popularity is skewed and drifts, so that most keys come
/// back after they were given up.
fn stream(capacity: u64) -> impl Iterator<Item = u64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..REQUESTS).map(move |i| {
        // The product of two uniform numbers is skewed to the small ones.
        let unit = |r: u64| (r >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = unit(random()) * unit(random()) * unit(random()) * (8 * capacity) as f64;
        rank as u64 + i * capacity / 100_000
    })
}

#[test]
fn the_hit_ratio_is_that_of_bare_quick_cache() {
    // Which keys share a shard is chance, and differs from one cache to the next: several of each.
    const EACH: u32 = 4;
    for capacity in CAPACITIES {
        let (mut ours, mut theirs) = (0_u32, 0_u32);
        for _ in 0..EACH {
            let quick = QuickCache::<u64, u64>::new(capacity as usize);
            let cache: Cache<u64, u64> =
                Cache::builder("hit_ratio").capacity(capacity).ttl(Duration::from_secs(3_600)).build().unwrap();
            for key in stream(capacity) {
                ours += u32::from(cache.blocking().get(&key).is_some());
                cache.blocking().get_or_load(&key, || key);
                theirs += u32::from(quick.get(&key).is_some());
                quick.get_or_insert_with(&key, || Ok::<_, ()>(key)).unwrap();
            }
        }
        let percent = |hits: u32| 100.0 * f64::from(hits) / (REQUESTS * u64::from(EACH)) as f64;
        let (ours, theirs) = (percent(ours), percent(theirs));
        println!("room for {capacity}: hybridcache {ours:.2} %, quick_cache {theirs:.2} %");
        assert!((20.0..80.0).contains(&theirs), "the stream tells caches apart");
        assert!((ours - theirs).abs() <= 0.2, "hybridcache {ours:.2} %, quick_cache {theirs:.2} %");
    }
}
