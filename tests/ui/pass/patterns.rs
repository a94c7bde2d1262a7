//! Patterns in arguments: keyed whole, skipped or named by what they bind; `mut` belongs to the body.
use hybridcache::cached;

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

fn main() {
    for _ in 0..2 {
        assert_eq!(whole(State(1), (2, 3)), 6);
        assert_eq!(skipped(State(2.into()), 1), 4);
        assert_eq!(unused(0.into(), 5), 5);
        assert_eq!(fields(Request { id: 1, pool: 2.into() }), 3);
        assert_eq!(ignored(0, 1, 2, (3, 4)), 10);
        assert_eq!(inline(vec![1], State(2)), [1, 2]);
    }
    assert_eq!(whole::key(&State(1), &(2, 3)), (State(1), (2, 3)));
    assert_eq!(skipped::key(&1), 1);
    assert_eq!([whole::stats().hits, skipped::stats().hits, unused::stats().hits, fields::stats().hits], [1; 4]);
}
