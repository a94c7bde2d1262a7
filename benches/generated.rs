//! Streams that no policy here was designed on: made up after `adaptive` was finished, each by a process of its own.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal, Zipf};

/// Requests of each stream.
const REQUESTS: usize = 300_000;

/// Draws requests from a generator of random numbers that is seeded.
type Draw = fn(&mut SmallRng) -> Vec<u64>;

/// Their names, and how they are made. What is drawn is the same each time.
const ALL: [(&str, Draw); 6] = [
    ("rich get richer", rich_get_richer),
    ("stack distances", stack_distances),
    ("tree", tree),
    ("sessions", sessions),
    ("links", links),
    ("join and lookups", join_and_lookups),
];

/// Each stream with its name.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, Vec<u64>)> {
    ALL.into_iter().zip(2_026_112_001..).map(|((name, draw), seed)| (name, draw(&mut SmallRng::seed_from_u64(seed))))
}

/// A new key now and then; otherwise one in proportion to how often it was asked for (a Pitman–Yor process).
fn rich_get_richer(random: &mut SmallRng) -> Vec<u64> {
    let (strength, discount) = (400.0, 0.6);
    let (mut requests, mut keys) = (Vec::with_capacity(REQUESTS), 0_u64);
    for n in 0..REQUESTS {
        let fresh = (strength + discount * keys as f64) / (n as f64 + strength);
        if requests.is_empty() || random.random_bool(fresh) {
            requests.push(keys);
            keys += 1;
        } else {
            requests.push(requests[random.random_range(0..n)]);
        }
    }
    requests
}

/// How many other keys come between two requests for one: mostly a few dozen, sometimes thousands, seldom never again.
fn stack_distances(random: &mut SmallRng) -> Vec<u64> {
    let near = LogNormal::new(3.5, 1.3).expect("constants");
    let far = LogNormal::new(8.5, 0.4).expect("constants");
    let (mut stack, mut keys) = (Vec::new(), 0);
    let mut draw = || {
        let distance = match random.random_range(0..100) {
            0..60 => near.sample(random),
            60..92 => far.sample(random),
            _ => f64::MAX,
        };
        // Whoever was asked for last stands at the end.
        let key = match stack.len().checked_sub((distance as usize).saturating_add(1)) {
            Some(at) => stack.remove(at),
            None => {
                keys += 1;
                keys
            }
        };
        stack.push(key);
        key
    };
    (0..REQUESTS).map(|_| draw()).collect()
}

/// Lookups and short scans in a search tree of 32 children a node, from the root to one of 50,000 leaves. Each node is a
/// key.
fn tree(random: &mut SmallRng) -> Vec<u64> {
    const LEAVES: u64 = 50_000;
    let popularity = Zipf::new(LEAVES as f64, 0.75).expect("constants");
    let mut requests = Vec::new();
    while requests.len() < REQUESTS {
        // Neighbours are not alike in popularity.
        let leaf = (popularity.sample(random) as u64).wrapping_mul(0x9E37_79B1) % LEAVES;
        requests.extend([3, 2, 1].map(|level| (level << 32) | (leaf / 32_u64.pow(level as u32))));
        let leaves = if random.random_bool(0.05) { random.random_range(10..200) } else { 1 };
        requests.extend(leaf..leaf + leaves);
    }
    requests
}

/// 150 visitors at a time, each with six keys of their own that they ask for again and again, and pages that all share.
fn sessions(random: &mut SmallRng) -> Vec<u64> {
    let pages = Zipf::new(15_000.0, 0.7).expect("constants");
    let mut visitors: Vec<u64> = (0..150).collect();
    let mut next = 150;
    let mut draw = || {
        let visitor = &mut visitors[random.random_range(0..150)];
        if random.random_bool(0.02) {
            *visitor = next;
            next += 1;
        }
        match random.random_bool(0.45) {
            true => (1 << 40) | (*visitor << 3) | random.random_range(0..6),
            false => pages.sample(random) as u64,
        }
    };
    (0..REQUESTS).map(|_| draw()).collect()
}

/// Readers who follow links between 30,000 pages, most of them to well-known ones, or turn to the next, or begin anew.
fn links(random: &mut SmallRng) -> Vec<u64> {
    const PAGES: usize = 30_000;
    let mut targets: Vec<[usize; 8]> = vec![[0; 8]];
    for page in 1..PAGES {
        // Copying the link of another is preferring pages in proportion to their links.
        let link = |random: &mut SmallRng| {
            let other = random.random_range(0..page);
            if random.random_bool(0.5) { targets[other][random.random_range(0..8)] } else { other }
        };
        let links = [(); 8].map(|()| link(random));
        targets.push(links);
    }
    let mut readers = [0; 40];
    let mut draw = || {
        let reader = &mut readers[random.random_range(0..40)];
        *reader = match random.random_range(0..100) {
            0..15 => random.random_range(0..PAGES),
            15..35 => (*reader + 1) % PAGES,
            _ => targets[*reader][random.random_range(0..8)],
        };
        *reader as u64
    };
    (0..REQUESTS).map(|_| draw()).collect()
}

/// Lookups of popular rows, and every so often a join that goes through 2,000 to 8,000 neighbouring rows and looks up
/// one of 500 others for each.
fn join_and_lookups(random: &mut SmallRng) -> Vec<u64> {
    let popularity = LogNormal::new(6.0, 1.8).expect("constants");
    let mut requests = Vec::new();
    while requests.len() < REQUESTS {
        let lookups = random.random_range(5_000..25_000);
        requests.extend((0..lookups).map(|_| popularity.sample(random) as u64 % 60_000));
        let first = random.random_range(0..60_000);
        for row in first..first + random.random_range(2_000..8_000) {
            requests.extend([row, (1 << 40) | random.random_range(0..500)]);
        }
    }
    requests
}
