use std::borrow::Cow;

/// How values are compressed on their way to a remote tier. By default they are not.
///
/// A value below a threshold is sent as it is, and so is one that would shrink by less than a tenth. Each record says
/// how it was compressed, so changing this setting makes no record unreadable, as long as the feature is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    algorithm: Algorithm,
    min: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Algorithm {
    #[default]
    Off,
    #[cfg(feature = "lz4")]
    Lz4,
    #[cfg(feature = "zstd")]
    Zstd,
}

/// What a record says where nothing is compressed.
pub(super) const UNCOMPRESSED: u8 = 0;
#[cfg(feature = "lz4")]
const LZ4: u8 = 1;
#[cfg(feature = "zstd")]
const ZSTD: u8 = 2;

impl Compression {
    /// LZ4, from 1 KiB on: halves JSON or better at about 0.5 µs/KiB, and reads at a quarter of that. Pure Rust.
    #[cfg(feature = "lz4")]
    #[cfg_attr(docsrs, doc(cfg(feature = "lz4")))]
    #[must_use]
    pub const fn lz4() -> Self {
        Self { algorithm: Algorithm::Lz4, min: 1 << 10 }
    }

    /// Zstandard at level 1, from 2 KiB on: a third smaller than LZ4, at two to three times its cost. Each thread
    /// that compresses keeps its working memory. Needs a C compiler to build.
    #[cfg(feature = "zstd")]
    #[cfg_attr(docsrs, doc(cfg(feature = "zstd")))]
    #[must_use]
    pub const fn zstd() -> Self {
        Self { algorithm: Algorithm::Zstd, min: 2 << 10 }
    }

    /// Leaves values of fewer bytes than this as they are.
    #[must_use]
    pub const fn min(self, bytes: usize) -> Self {
        Self { min: bytes, ..self }
    }

    /// What a record calls the compressed form of `bytes`, and that form; `None` if it is not worth it.
    pub(super) fn compress(self, bytes: &[u8]) -> Option<(u8, Vec<u8>)> {
        if bytes.len() < self.min {
            return None;
        }
        let compressed: Option<(u8, Vec<u8>)> = match self.algorithm {
            Algorithm::Off => None,
            #[cfg(feature = "lz4")]
            Algorithm::Lz4 => Some((LZ4, lz4_flex::block::compress(bytes))),
            #[cfg(feature = "zstd")]
            Algorithm::Zstd => zstandard::compress(bytes).map(|compressed| (ZSTD, compressed)),
        };
        compressed.filter(|(_, compressed)| compressed.len() <= bytes.len() - bytes.len() / 10)
    }
}

/// The `length` bytes that were there before compression; `None` if they are not what they say, or this build does not
/// have the feature. Allocates `length` and nothing else, so `length` has to be checked before.
pub(super) fn decompress(id: u8, bytes: &[u8], length: usize) -> Option<Cow<'_, [u8]>> {
    let decompressed = match id {
        UNCOMPRESSED => Some(Cow::Borrowed(bytes)),
        #[cfg(feature = "lz4")]
        LZ4 => {
            let mut into = vec![0; length];
            lz4_flex::block::decompress_into(bytes, &mut into).ok().map(|written| {
                into.truncate(written);
                Cow::Owned(into)
            })
        }
        #[cfg(feature = "zstd")]
        ZSTD => zstandard::decompress(bytes, length).map(Cow::Owned),
        _ => None,
    };
    decompressed.filter(|decompressed| decompressed.len() == length)
}

/// A fresh context costs as much again as compressing 4 KiB, and thrice as much as decompressing them: threads keep
/// one.
#[cfg(feature = "zstd")]
mod zstandard {
    use std::cell::RefCell;

    use zstd::bulk::{Compressor, Decompressor};

    const LEVEL: i32 = 1;

    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }

    /// Runs `work` on what this thread keeps, and makes it where it has none. `None` where that fails, or the thread
    /// is ending.
    fn kept<C, T>(
        slot: &'static std::thread::LocalKey<RefCell<Option<C>>>,
        new: impl FnOnce() -> std::io::Result<C>,
        work: impl FnOnce(&mut C) -> std::io::Result<T>,
    ) -> Option<T> {
        slot.try_with(|slot| {
            let mut slot = slot.try_borrow_mut().ok()?;
            if slot.is_none() {
                *slot = Some(new().ok()?);
            }
            work(slot.as_mut()?).ok()
        })
        .ok()?
    }

    pub(super) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
        kept(&COMPRESSOR, || Compressor::new(LEVEL), |compressor| compressor.compress(bytes))
    }

    pub(super) fn decompress(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
        let mut into = Vec::with_capacity(length);
        kept(&DECOMPRESSOR, Decompressor::new, |decompressor| decompressor.decompress_to_buffer(bytes, &mut into))?;
        Some(into)
    }
}
