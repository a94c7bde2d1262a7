//! Compressed files, unpacked on the way.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use lzma_rust2::XzReader;

use super::{StreamError, from_io};

/// Every xz file begins with these bytes.
const XZ_MAGIC: &[u8] = b"\xFD7zXZ\0";
/// And every zstd frame that has something in it with these.
const ZSTD_MAGIC: &[u8] = b"\x28\xB5\x2F\xFD";
/// A frame that is to be skipped, as `pzstd` puts one first, begins with a byte whose first digit is 5, and these.
const ZSTD_SKIPPED: &[u8] = b"\x2A\x4D\x18";

/// How others pack. What they make looks like binary keys, which would be replayed, also where it is packed once more.
const OTHERS: [&str; 11] = ["gz", "bz2", "lz4", "lz", "lzma", "br", "7z", "zip", "tar", "tgz", "txz"];

pub(crate) type Input = Box<dyn BufRead + Send>;

/// The unpacked stream, and its name without the ending that said it was packed. The content says whether it is.
pub(crate) fn unpack(mut input: impl BufRead + Send + 'static, name: &Path) -> Result<(Input, &Path), StreamError> {
    let start = input.fill_buf().map_err(StreamError::Io)?;
    if start.is_empty() {
        return Err(StreamError::Empty);
    }
    let skipped = start[0] >> 4 == 5 && start[1..].starts_with(ZSTD_SKIPPED);
    let (xz, zstd) = (start.starts_with(XZ_MAGIC), skipped || start.starts_with(ZSTD_MAGIC));
    let is_named = |name: &Path, ending| name.extension().is_some_and(|it| it.eq_ignore_ascii_case(ending));
    let (named_xz, named_zstd) = (is_named(name, "xz"), is_named(name, "zst"));
    let name = if named_xz || named_zstd { name.file_stem().map_or(name, Path::new) } else { name };
    if let Some(other) = OTHERS.into_iter().find(|ending| is_named(name, ending)) {
        return Err(StreamError::PackedOtherwise(other));
    }
    if named_xz && !xz {
        return Err(StreamError::NotPacked("xz"));
    }
    if named_zstd && !zstd {
        return Err(StreamError::NotPacked("zst"));
    }
    let mut input: Input = if xz {
        Box::new(BufReader::new(Unpacked(XzReader::new(input, true))))
    } else if zstd {
        Box::new(BufReader::new(Unpacked(zstd::Decoder::with_buffer(input).map_err(StreamError::Io)?)))
    } else {
        Box::new(input)
    };
    if input.fill_buf().map_err(from_io)?.is_empty() {
        return Err(StreamError::Empty);
    }
    Ok((input, name))
}

/// Marks the errors of a decompressor, so that they can be told from those of the disk.
struct Unpacked<R>(R);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
