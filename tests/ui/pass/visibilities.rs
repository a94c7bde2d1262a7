//! The handle is visible as the function is, and imported along with it.
mod outer {
    pub mod inner {
        use hybridcache::cached;

        #[cached]
        pub fn public(id: u64) -> u64 {
            private(id)
        }

        #[cached]
        pub(crate) fn of_crate(id: u64) -> u64 {
            id
        }

        #[cached]
        pub(super) fn of_super(id: u64) -> u64 {
            id
        }

        #[cached]
        pub(in crate::outer) fn of_path(id: u64) -> u64 {
            id
        }

        #[cached]
        fn private(id: u64) -> u64 {
            id
        }

        pub fn peek() -> Option<u64> {
            private::peek(&1)
        }
    }

    pub fn sum() -> u64 {
        inner::of_super(1) + inner::of_path(1) + inner::of_super::peek(&1).unwrap() + inner::of_path::peek(&1).unwrap()
    }

    pub use inner::public as renamed;
}

use outer::inner::{of_crate, public};
use outer::renamed;

fn main() {
    assert_eq!(public(1) + of_crate(1) + outer::sum(), 6);
    assert_eq!((public::peek(&1), renamed::peek(&1), of_crate::peek(&1)), (Some(1), Some(1), Some(1)));
    assert_eq!(outer::inner::peek(), Some(1));
    assert!(public::cache().name().ends_with("::outer::inner::public"));
}
