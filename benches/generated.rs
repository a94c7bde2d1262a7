//! Made-up streams, each by a process of its own. What `adaptive` decides was changed with the first twelve in sight; the
//! last four were made up after that, and no policy here was designed on them.

use std::collections::BTreeSet;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal, Zipf};

/// Requests of each stream.
const REQUESTS: usize = 300_000;

/// Draws requests from a generator of random numbers that is seeded.
type Draw = fn(&mut SmallRng) -> Vec<u64>;

/// Their names, and how they are made. What is drawn is the same each time.
const ALL: [(&str, Draw); 16] = [
    ("rich get richer", rich_get_richer),
    ("stack distances", stack_distances),
    ("tree", tree),
    ("sessions", sessions),
    ("links", links),
    ("join and lookups", join_and_lookups),
    ("polls", polls),
    ("builds", builds),
    ("timelines", timelines),
    ("births and deaths", births_and_deaths),
    ("searches", searches),
    ("dashboards", dashboards),
    ("meters", meters),
    ("shop", shop),
    ("bursts", bursts),
    ("nightly", nightly),
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

/// 3,000 clients, each of which looks at its mailbox at times of its own, from ever so often to hardly ever, and reads a
/// message or two: mostly the latest, sometimes an old one.
fn polls(random: &mut SmallRng) -> Vec<u64> {
    const CLIENTS: usize = 3_000;
    let pause = LogNormal::new(7.0, 1.5).expect("constants");
    let age = LogNormal::new(1.0, 1.5).expect("constants");
    let pauses: Vec<f64> = (0..CLIENTS).map(|_| pause.sample(random)).collect();
    let mut newest = vec![200_u64; CLIENTS];
    let mut due: BTreeSet<(u64, usize)> = (0..CLIENTS).map(|client| (random.random_range(0..3_000), client)).collect();
    let mut requests = Vec::with_capacity(REQUESTS);
    while requests.len() < REQUESTS {
        let (now, client) = due.pop_first().expect("each comes again");
        due.insert((now + 1 + (pauses[client] * random.random_range(0.8..1.2)) as u64, client));
        requests.push(client as u64);
        if random.random_bool(0.3) {
            newest[client] += 1;
        }
        for _ in 0..random.random_range(0..3) {
            let message = newest[client].saturating_sub(age.sample(random) as u64);
            requests.push((1 << 40) | ((client as u64) << 20) | message);
        }
    }
    requests
}

/// Builds of 60 projects, some of them built all the time: each reads 150 to 900 files in an order that is its own, most
/// of them shared with others.
fn builds(random: &mut SmallRng) -> Vec<u64> {
    let projects: Vec<Vec<u64>> = (0..60)
        .map(|project| {
            let shared = Zipf::new(6_000.0, 0.6).expect("constants");
            let files = random.random_range(150..900);
            let file = |random: &mut SmallRng| match random.random_bool(0.6) {
                true => shared.sample(random) as u64,
                false => (1 << 40) | (project << 20) | random.random_range(0..400),
            };
            (0..files).map(|_| file(random)).collect()
        })
        .collect();
    let popularity = Zipf::new(60.0, 0.8).expect("constants");
    let mut requests = Vec::new();
    while requests.len() < REQUESTS {
        let files = &projects[popularity.sample(random) as usize - 1];
        // Some builds do a part only.
        let share = if random.random_bool(0.5) { 1.0 } else { 0.25 };
        requests.extend(files.iter().filter(|_| random.random_bool(share)));
    }
    requests
}

/// 4,000 people, each following 5 to 60 of the others, who look at the newest posts of those whom they follow; some post often.
fn timelines(random: &mut SmallRng) -> Vec<u64> {
    const PEOPLE: u64 = 4_000;
    let fame = Zipf::new(PEOPLE as f64, 0.8).expect("constants");
    let follows: Vec<Vec<u64>> = (0..PEOPLE)
        .map(|_| (0..random.random_range(5..60)).map(|_| fame.sample(random) as u64 - 1).collect())
        .collect();
    let mut posts = vec![3_u64; PEOPLE as usize];
    let mut requests = Vec::new();
    while requests.len() < REQUESTS {
        for _ in 0..3 {
            posts[fame.sample(random) as usize - 1] += 1;
        }
        let reader = fame.sample(random) as u64 - 1;
        requests.push(reader);
        for &writer in &follows[reader as usize] {
            if random.random_bool(0.3) {
                requests.push((1 << 40) | (writer << 20) | (posts[writer as usize] - random.random_range(0..3)));
            }
        }
    }
    requests
}

/// Keys that are born with a popularity and a span of life of their own; one in proportion to its popularity of those that
/// live is asked for.
fn births_and_deaths(random: &mut SmallRng) -> Vec<u64> {
    const LIVING: usize = 4_000;
    let popularity = LogNormal::new(0.0, 1.8).expect("constants");
    let span = LogNormal::new(9.5, 1.5).expect("constants");
    let mut born = 0;
    let mut birth = |now: usize, random: &mut SmallRng| {
        born += 1;
        (born, f64::min(popularity.sample(random), 60.0), now + span.sample(random) as usize)
    };
    let mut living: Vec<(u64, f64, usize)> = (0..LIVING).map(|_| birth(0, random)).collect();
    let mut draw = |now: usize| loop {
        let at = random.random_range(0..LIVING);
        if living[at].2 <= now {
            living[at] = birth(now, random);
        }
        if random.random_bool(living[at].1 / 60.0) {
            return living[at].0;
        }
    };
    (0..REQUESTS).map(&mut draw).collect()
}

/// Searches for one to three words, some of which most people look for: a page of each word's list, further pages less
/// often, and some of what was found.
fn searches(random: &mut SmallRng) -> Vec<u64> {
    let words = Zipf::new(20_000.0, 1.0).expect("constants");
    let mut requests = Vec::new();
    while requests.len() < REQUESTS {
        let mut found = 0;
        for _ in 0..random.random_range(1..=3) {
            let word = words.sample(random) as u64;
            found = found * 31 + word;
            let mut page = 0;
            requests.push(word << 8);
            while page < 20 && random.random_bool(0.35) {
                page += 1;
                requests.push((word << 8) | page);
            }
        }
        requests.extend((0..random.random_range(0..4)).map(|hit| (1 << 40) | ((found * 7 + hit) % 30_000)));
    }
    requests
}

/// 300 dashboards, some open all the time, each of 4 to 20 series: the latest piece of each at every refresh, and at times
/// the last two days of one of them.
fn dashboards(random: &mut SmallRng) -> Vec<u64> {
    let popularity = Zipf::new(300.0, 0.9).expect("constants");
    let dashboards: Vec<Vec<u64>> =
        (0..300).map(|_| (0..random.random_range(4..20)).map(|_| random.random_range(0..1_500)).collect()).collect();
    let mut requests = Vec::new();
    while requests.len() < REQUESTS {
        let piece = 100 + requests.len() as u64 / 3_000;
        let series = &dashboards[popularity.sample(random) as usize - 1];
        requests.extend(series.iter().map(|series| (series << 20) | piece));
        if random.random_bool(0.08) {
            let series = series[random.random_range(0..series.len())];
            requests.extend((piece - 48..piece).map(|piece| (series << 20) | piece));
        }
    }
    requests
}

/// 8,000 meters that report one after the other, a tenth of them late or not at all, each with a look at its own settings
/// and at those of its street and its tariff.
fn meters(random: &mut SmallRng) -> Vec<u64> {
    let tariffs: Vec<u64> = (0..8_000).map(|_| random.random_range(0..200)).collect();
    let mut requests = Vec::new();
    let mut late = Vec::new();
    while requests.len() < REQUESTS {
        for meter in 0..8_000 {
            let reports = match random.random_range(0..20) {
                0 => None,
                1 => {
                    late.push(meter);
                    late.get(random.random_range(0..late.len())).copied()
                }
                _ => Some(meter),
            };
            if let Some(meter) = reports {
                requests.extend([meter, (1 << 40) | (meter / 25), (1 << 41) | tariffs[meter as usize]]);
            }
        }
        late.clear();
    }
    requests
}

/// Visitors of a shop who go from lists to articles, put some into a basket that they look at again and again, and buy;
/// which articles are wanted changes from day to day.
fn shop(random: &mut SmallRng) -> Vec<u64> {
    let wanted = Zipf::new(12_000.0, 0.85).expect("constants");
    let mut baskets: Vec<(u64, Vec<u64>)> = (0..60).map(|visitor| (visitor, Vec::new())).collect();
    let (mut requests, mut visitors) = (Vec::new(), 60);
    while requests.len() < REQUESTS {
        let day = requests.len() as u64 / 40_000;
        let (visitor, basket) = &mut baskets[random.random_range(0..60)];
        match random.random_range(0..10) {
            0..3 => requests.push((1 << 40) | random.random_range(0..150)),
            3..8 => {
                let article = (wanted.sample(random) as u64 + day * 300) * 7_919 % 12_007;
                requests.extend([article, (1 << 41) | (article / 6)]);
                if random.random_bool(0.2) {
                    basket.push(article);
                }
            }
            8 => {
                requests.push((1 << 42) | *visitor);
                requests.extend(basket.iter());
            }
            _ => {
                visitors += 1;
                (*visitor, *basket) = (visitors, Vec::new());
            }
        }
    }
    requests
}

/// Each request may cause others for the same key, soon or after a long time; some come out of nothing.
fn bursts(random: &mut SmallRng) -> Vec<u64> {
    let soon = LogNormal::new(4.0, 1.5).expect("constants");
    let later = LogNormal::new(10.0, 1.0).expect("constants");
    let mut due = BTreeSet::new();
    let (mut requests, mut next) = (Vec::with_capacity(REQUESTS), 0);
    while requests.len() < REQUESTS {
        let now = requests.len() as u64;
        let key = match due.pop_first() {
            Some((at, _, key)) if at <= now => key,
            other => {
                due.extend(other);
                random.random_range(0..30_000)
            }
        };
        requests.push(key);
        for pause in [&soon, &soon, &later] {
            if random.random_bool(0.32) {
                next += 1;
                due.insert((now + 1 + pause.sample(random) as u64, next, key));
            }
        }
    }
    requests
}

/// Lookups of popular keys, whose popularity stays, and every so often all keys in order: a copy is made.
fn nightly(random: &mut SmallRng) -> Vec<u64> {
    const KEYS: u64 = 25_000;
    let popularity = Zipf::new(KEYS as f64, 0.95).expect("constants");
    let mut requests = Vec::new();
    while requests.len() < REQUESTS {
        requests.extend((0..60_000).map(|_| (popularity.sample(random) as u64).wrapping_mul(0x9E37_79B1) % KEYS));
        requests.extend(0..KEYS);
    }
    requests
}
