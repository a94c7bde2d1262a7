//! Nonces.

#[cfg(feature = "redis")]
use std::cell::RefCell;
#[cfg(feature = "redis")]
use std::time::SystemTime;

/// 128 random bits that are never used twice: they name an attempt to load, the value it filled, a link of a chain.
pub(crate) type Nonce = u128;

/// How many nonces a thread draws at a time: then the system call is a small part of each.
#[cfg(feature = "redis")]
const DRAWN: usize = 64;

#[cfg(feature = "redis")]
thread_local! {
    /// What this thread has drawn and not used, and how much of it is left.
    static STOCK: RefCell<([u8; 16 * DRAWN], usize)> = const { RefCell::new(([0; 16 * DRAWN], 0)) };
}

/// Draws a nonce from the operating system, so that nobody can guess it and no two nodes draw the same.
///
/// It is drawn ahead, by the thread, and stirred with the time as it is used.
///
/// Interleaving that the time defeats: a process is copied, by a fork or with its whole machine by a snapshot that two others start
/// from, and with it what was drawn; both ask for the same key, plant the same lease, and each may fill under the lease of the other.
/// Two copies that use the same draw in the same nanosecond would still be alike; the copy of a fork asks nothing at all, having no
/// thread of connections. Bits that nobody knows stay so, whatever known ones are added to them.
///
/// # Panics
///
/// If the operating system has no random bits to give; then the hash maps of `std` cannot be made either.
#[cfg(feature = "redis")]
pub(crate) fn nonce() -> Nonce {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    nonce_at(since.as_nanos() as u64)
}

/// [`nonce`], for who knows the time already, by any clock that counts nanoseconds and was read for this nonce.
#[cfg(feature = "redis")]
pub(crate) fn nonce_at(now: u64) -> Nonce {
    let drawn = STOCK.try_with(|stock| {
        let (bytes, left) = &mut *stock.borrow_mut();
        if *left == 0 {
            draw(bytes);
            *left = DRAWN;
        }
        *left -= 1;
        let mut next = [0; 16];
        next.copy_from_slice(&bytes[16 * *left..][..16]);
        next
    });
    // A thread that is ending has no stock any more.
    let bytes = drawn.unwrap_or_else(|_| {
        let mut bytes = [0; 16];
        draw(&mut bytes);
        bytes
    });
    Nonce::from_be_bytes(bytes) ^ Nonce::from(now)
}

#[cfg(feature = "redis")]
fn draw(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system has random bits");
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

    #[test]
    fn threads_draw_nonces_of_their_own() {
        let draw = || (0..3 * DRAWN).map(|_| nonce()).collect::<Vec<_>>();
        let drawn: HashSet<Nonce> = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(draw));
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(drawn.len(), 4 * 3 * DRAWN);
    }
}
