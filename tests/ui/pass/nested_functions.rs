//! Cached functions inside functions, blocks and closures.
use hybridcache::{cache_evict, cached};

fn first() -> u64 {
    #[cached]
    fn inner(id: u64) -> u64 {
        id + 1
    }

    inner(1) + inner(1) + inner::stats().hits
}

fn second() -> u64 {
    #[cached]
    fn inner(id: u64) -> u64 {
        id + 2
    }

    #[cache_evict(inner(id))]
    fn forget(id: u64) {}

    let sum = inner(1) + inner(1);
    forget(1);
    sum + u64::from(inner::peek(&1).is_none())
}

impl Outer {
    fn method(&self) -> u64 {
        #[cached]
        fn inner(id: u64) -> u64 {
            #[cached]
            fn innermost(id: u64) -> u64 {
                id + 3
            }

            innermost(id)
        }
        inner(1)
    }
}

struct Outer;

fn main() {
    assert_eq!((first(), second(), Outer.method()), (5, 7, 4));
    let closure = || {
        #[cached]
        fn inner(id: u64) -> u64 {
            id
        }

        inner(7)
    };
    assert_eq!(closure(), 7);
}
