//! As many parts as a key may have, and more arguments than that.
use hybridcache::cached;
use hybridcache_tests::block_on;

#[cached]
#[allow(clippy::too_many_arguments)]
async fn twelve(
    a: u8,
    b: &str,
    c: Option<&str>,
    d: &[u8],
    e: u64,
    f: (u8, u8),
    g: bool,
    h: char,
    i: String,
    j: Vec<u8>,
    k: i128,
    l: (),
) -> String {
    format!("{a}{b}{c:?}{d:?}{e}{f:?}{g}{h}{i}{j:?}{k}{l:?}")
}

#[cached(skip(m, n))]
#[allow(clippy::too_many_arguments)]
fn fourteen(
    a: u8,
    b: u8,
    c: u8,
    d: u8,
    e: u8,
    f: u8,
    g: u8,
    h: u8,
    i: u8,
    j: u8,
    k: u8,
    l: u8,
    m: f64,
    n: &mut u8,
) -> u32 {
    *n += 1;
    [a, b, c, d, e, f, g, h, i, j, k, l].into_iter().map(u32::from).sum::<u32>() + m as u32
}

fn main() {
    block_on(async {
        let call = || twelve(1, "2", Some("3"), &[4], 5, (6, 7), true, '8', "9".to_owned(), vec![10], 11, ());
        assert_eq!(call().await, call().await);
        assert_eq!(twelve::stats().hits, 1);
    });
    let mut runs = 0;
    for _ in 0..2 {
        assert_eq!(fourteen(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0.5, &mut runs), 78);
    }
    assert_eq!(runs, 1);
}
