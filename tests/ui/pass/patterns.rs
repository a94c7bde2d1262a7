//! Patterns in arguments: keyed whole, skipped or named by what they bind; `mut` belongs to the body.
use hybridcache::{Cache, cached};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State<T>(T);

struct Request {
    id: u64,
    pool: std::cell::Cell<u8>,
}

#[cached]
fn whole(State(id): State<u64>, (left, right): (u64, u64)) -> u64 {
    id + left + right
}

#[cached(skip(pool))]
fn skipped(State(pool): State<std::cell::Cell<u8>>, mut id: u64) -> u64 {
    id += 1;
    id + u64::from(pool.get())
}

#[cached(key(id))]
fn unused(_: std::cell::Cell<u8>, id: u64) -> u64 {
    id
}

#[cached(key(id: u64 = *id))]
fn fields(Request { id, pool }: Request) -> u64 {
    id + u64::from(pool.get())
}

#[cached]
fn ignored(_unused: u8, arg0: u64, ref by_reference: u64, whole @ (a, _): (u8, u8)) -> u64 {
    arg0 + *by_reference + u64::from(a) + u64::from(whole.1)
}

#[cached(handle = false)]
fn inline(mut list: Vec<u64>, State(id): State<u64>) -> Vec<u64> {
    list.push(id);
    list
}

#[cached(key(id), when = !fresh)]
fn unless_fresh(State(fresh): State<bool>, id: u64) -> u64 {
    id + u64::from(fresh)
}

#[cached(key(left: u64 = *left, text: String = text.to_lowercase()))]
fn modes((mut left, ref text): (u64, String)) -> u64 {
    left += 1;
    left + text.len() as u64
}

#[derive(Clone)]
struct App {
    numbers: Cache<u64, u64>,
}

#[cached(cache = app.numbers, key(id), handle = false)]
async fn injected(State(app): State<App>, id: u64) -> u64 {
    drop(app);
    id
}

#[cached(cache = app.numbers, key(id), handle = false, when = app.numbers.len() < 10)]
fn injected_behind(State(app): &State<App>, id: u64) -> u64 {
    id + app.numbers.len() as u64
}

impl App {
    #[cached(cache = self.numbers, skip(self))]
    pub async fn number(self: std::sync::Arc<Self>, id: u64) -> u64 {
        self.numbers.len() as u64 + id
    }
}

fn main() {
    for _ in 0..2 {
        assert_eq!(whole(State(1), (2, 3)), 6);
        assert_eq!(skipped(State(2.into()), 1), 4);
        assert_eq!(unused(0.into(), 5), 5);
        assert_eq!(fields(Request { id: 1, pool: 2.into() }), 3);
        assert_eq!(ignored(0, 1, 2, (3, 4)), 10);
        assert_eq!(inline(vec![1], State(2)), [1, 2]);
    }
    for _ in 0..2 {
        assert_eq!((unless_fresh(State(false), 1), unless_fresh(State(true), 1)), (1, 2));
        assert_eq!(modes((1, "Ab".to_owned())), 4);
    }
    assert_eq!((unless_fresh::stats().hits, unless_fresh::stats().bypassed, modes::stats().hits), (1, 2, 1));
    let app = App { numbers: Cache::builder("numbers").build().unwrap() };
    hybridcache_tests::block_on(async {
        assert_eq!((injected(State(app.clone()), 1).await, injected(State(app.clone()), 1).await), (1, 1));
        assert_eq!((injected_behind(&State(app.clone()), 2), injected_behind(&State(app.clone()), 2)), (3, 3));
        assert_eq!(std::sync::Arc::new(app.clone()).number(3).await, 5);
        assert_eq!((app.numbers.len(), app.numbers.stats().hits), (3, 2));
    });
    assert_eq!(whole::key(&State(1), &(2, 3)), (State(1), (2, 3)));
    assert_eq!(skipped::key(&1), 1);
    assert_eq!([whole::stats().hits, skipped::stats().hits, unused::stats().hits, fields::stats().hits], [1; 4]);
}
