//! Typed keys: owned in the store, borrowed in a lookup, text everywhere else.

#[cfg(feature = "redis")]
pub(crate) mod text;

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher};

/// The borrowed form of a key: what a lookup hashes and compares, so that a hit allocates nothing.
///
/// | borrowed | owned |
/// |---|---|
/// | `&T` | `<T as ToOwned>::Owned`: `&u64` → `u64`, `&str` → `String`, `&[T]` → `Vec<T>` |
/// | `Option<Q>` | `Option<Q::Owned>` |
/// | `()`, `(Q1, …, Q12)` | the tuple of the owned forms |
///
/// So a `Cache<u64, V>` is asked with `&7`, a `Cache<String, V>` with `"abc"`, and a `Cache<(u64, String), V>` with
/// `(&7, "abc")`. `Hash` and `Eq` of the two forms have to agree, as [`Borrow`] demands of its implementors.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "not a key",
    note = "a key is made of references to types that are `Clone + Hash + Eq + Send + Sync + 'static` (`&u64`, `&str`, `&[T]`), `Option`s and tuples of them",
    note = "in an attribute, leave the argument out with `skip(argument)`, or choose the key with `key(..)`"
)]
pub trait Key: Copy + Hash {
    /// The form that is kept with the entry.
    type Owned: Clone + Eq + Hash + Send + Sync + 'static;

    /// Builds the owned form; called on a miss only.
    fn to_owned_key(&self) -> Self::Owned;

    /// Whether this is the same key.
    fn matches(&self, owned: &Self::Owned) -> bool;
}

impl<T> Key for &T
where
    T: ?Sized + Hash + Eq + ToOwned,
    T::Owned: Clone + Eq + Hash + Send + Sync + 'static,
{
    type Owned = T::Owned;

    fn to_owned_key(&self) -> T::Owned {
        (**self).to_owned()
    }

    #[inline]
    fn matches(&self, owned: &T::Owned) -> bool {
        **self == *owned.borrow()
    }
}

impl<Q: Key> Key for Option<Q> {
    type Owned = Option<Q::Owned>;

    fn to_owned_key(&self) -> Self::Owned {
        self.as_ref().map(Q::to_owned_key)
    }

    #[inline]
    fn matches(&self, owned: &Self::Owned) -> bool {
        match (self, owned) {
            (Some(borrowed), Some(owned)) => borrowed.matches(owned),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Key for () {
    type Owned = ();

    fn to_owned_key(&self) {}

    #[inline]
    fn matches(&self, (): &()) -> bool {
        true
    }
}

macro_rules! tuple_keys {
    ($($q:ident $i:tt),+ $(; $($rest:tt)*)?) => {
        impl<$($q: Key),+> Key for ($($q,)+) {
            type Owned = ($($q::Owned,)+);

            fn to_owned_key(&self) -> Self::Owned {
                ($(self.$i.to_owned_key(),)+)
            }

            #[inline]
            fn matches(&self, owned: &Self::Owned) -> bool {
                $(self.$i.matches(&owned.$i))&&+
            }
        }
    };
}

tuple_keys!(A 0);
tuple_keys!(A 0, B 1);
tuple_keys!(A 0, B 1, C 2);
tuple_keys!(A 0, B 1, C 2, D 3);
tuple_keys!(A 0, B 1, C 2, D 3, E 4);
tuple_keys!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple_keys!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_keys!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple_keys!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple_keys!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple_keys!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, L 10);
tuple_keys!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, L 10, M 11);

/// An owned key beside its hash. The hash is computed once a call and used by the store, the table of flights and the
/// expiry wheel alike, so that no user `Hash` runs under a lock.
#[derive(Clone, Debug)]
pub(crate) struct Stored<K> {
    pub(crate) hash: u64,
    pub(crate) key: K,
}

impl<K> Hash for Stored<K> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Eq> PartialEq for Stored<K> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.key == other.key
    }
}

impl<K: Eq> Eq for Stored<K> {}

/// Hands a hash that is known already to a table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prehashed;

/// The hasher of [`Prehashed`].
#[derive(Default)]
pub(crate) struct PrehashedHasher(u64);

impl BuildHasher for Prehashed {
    type Hasher = PrehashedHasher;

    #[inline]
    fn build_hasher(&self) -> PrehashedHasher {
        PrehashedHasher(0)
    }
}

impl Hasher for PrehashedHasher {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quick_cache::DefaultHashBuilder;

    fn agrees<Q: Key>(borrowed: Q) {
        let hasher = DefaultHashBuilder::default();
        let owned = borrowed.to_owned_key();
        assert_eq!(hasher.hash_one(borrowed), hasher.hash_one(&owned), "the two forms hash alike");
        assert!(borrowed.matches(&owned));
    }

    #[test]
    fn borrowed_and_owned_forms_hash_alike() {
        agrees(&7_u64);
        agrees("text");
        agrees(&b"bytes"[..]);
        agrees(&[1_u64, 2, 3][..]);
        agrees((&7_u64, "text", Some("more"), None::<&str>));
        agrees(((), (&true, ("nested", &'c'))));
        agrees(());
        agrees(&String::new());
        agrees((&1_u8, &2_u16, &3_u32, &4_u64, &5_i8, &6_i16, &7_i32, &8_i64, "9", "10", &11_u128, "12"));
    }

    #[test]
    fn different_keys_do_not_match() {
        assert!(!(&1_u64, "a").matches(&(1, "b".to_owned())));
        assert!(!None::<&str>.matches(&Some(String::new())));
        assert!(!Some("").matches(&None));
    }
}
