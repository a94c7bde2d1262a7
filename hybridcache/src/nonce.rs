//! Nonces.

/// 128 random bits that are never used twice: they name an attempt to load, the value it filled, a link of a chain.
pub(crate) type Nonce = u128;

/// Draws a nonce from the operating system, so that nobody can guess it and no two nodes draw the same. Costs a system
/// call.
///
/// # Panics
///
/// If the operating system has no random bits to give; then the hash maps of `std` cannot be made either.
#[cfg(feature = "redis")]
pub(crate) fn nonce() -> Nonce {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has random bits");
    Nonce::from_be_bytes(bytes)
}

#[cfg(all(test, feature = "redis"))]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_nonce_comes_twice() {
        let drawn: HashSet<Nonce> = (0..10_000).map(|_| nonce()).collect();
        assert_eq!(drawn.len(), 10_000);
        let (ones, zeros) = drawn.iter().fold((0, Nonce::MAX), |(ones, zeros), one| (ones | one, zeros & one));
        assert_eq!((ones, zeros), (Nonce::MAX, 0), "every bit is drawn");
    }
}
