//! Ours against quick_cache by hand, and against the peers: `cargo bench -p hybridcache-benches --bench compare`.
//!
//! `--quick` measures less, `--filter TEXT` only the rows whose name contains the text.

mod peers;

use std::error::Error;

use hybridcache_benches::cases::{
    ASYNC, BATCH, COMPOSITE_HIT, NAMED, PLAIN, QUICK, QUICK_COMPOSITE_HIT, QUICK_HIT_WITH_LIFETIME, QUICK_PLAIN_MISS,
    SLIDING_HIT, Subject,
};
use hybridcache_benches::pairs::Row;
use hybridcache_benches::processes::compare;
use hybridcache_benches::work::Work;

type Side = fn(u64) -> Work;

fn main() -> Result<(), Box<dyn Error>> {
    compare(rows())
}

fn rows() -> Vec<Row> {
    let by_hand: [(&str, u64, Side, Side, Option<f64>); 9] = [
        ("hit", 1, PLAIN.hit, QUICK.hit, Some(1.25)),
        ("hit, key `(&str, u64)`", 1, COMPOSITE_HIT, QUICK_COMPOSITE_HIT, Some(1.3)),
        ("async hit", 1, ASYNC.hit, QUICK.hit, Some(1.5)),
        ("sliding hit", 1, SLIDING_HIT, QUICK.hit, Some(1.9)),
        ("hit", 2, PLAIN.hit, QUICK.hit, Some(1.18)),
        ("async miss", 1, ASYNC.miss, QUICK.miss, Some(3.0)),
        ("miss", 1, PLAIN.miss, QUICK_PLAIN_MISS, None),
        ("put", 1, PLAIN.put, QUICK.put, None),
        ("evict", 1, PLAIN.evict, QUICK.evict, None),
    ];
    let mut rows: Vec<Row> = by_hand
        .into_iter()
        .map(|(what, threads, ours, peer, bar)| row(what, "quick_cache by hand", threads, ours, peer, bar))
        .collect();
    let with_lifetime = "quick_cache by hand with a lifetime";
    rows.push(row("hit", with_lifetime, 1, PLAIN.hit, QUICK_HIT_WITH_LIFETIME, None));
    rows.push(row("sliding hit", with_lifetime, 1, SLIDING_HIT, QUICK_HIT_WITH_LIFETIME, None));
    let peers: [(&str, Subject, Subject); 5] = [
        ("cached `#[cached]`", PLAIN, peers::CACHED),
        ("cached `#[concurrent_cached]`", PLAIN, peers::CONCURRENT_CACHED),
        ("moka sync", PLAIN, peers::MOKA),
        ("moka future", ASYNC, peers::MOKA_FUTURE),
        ("amalgam", NAMED, peers::AMALGAM),
    ];
    for (peer, ours, theirs) in peers {
        for threads in [1, 2] {
            for (what, ours, theirs) in [
                ("hit", ours.hit, theirs.hit),
                ("miss", ours.miss, theirs.miss),
                ("put", ours.put, theirs.put),
                ("evict", ours.evict, theirs.evict),
            ] {
                rows.push(row(what, peer, threads, ours, theirs, Some(1.0)));
            }
            if peer == "cached `#[cached]`" {
                // What it promises then is what we promise always. Puts and evicts are the same.
                let peer = "cached, `sync_writes = \"by_key\"`";
                rows.push(row("hit", peer, threads, ours.hit, peers::CACHED_BY_KEY_HIT, Some(1.0)));
                rows.push(row("miss", peer, threads, ours.miss, peers::CACHED_BY_KEY_MISS, Some(1.0)));
            }
        }
    }
    rows
}

fn row(what: &str, peer: &str, threads: u64, ours: Side, theirs: Side, bar: Option<f64>) -> Row {
    let threads_too = if threads == 1 { String::new() } else { format!(", {threads} threads") };
    let most = if what == "evict" { BATCH } else { u64::MAX };
    Row { name: format!("{what}{threads_too} – {peer}"), threads, ours, peer: theirs, bar, most }
}
