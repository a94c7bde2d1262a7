//! Where the requests come from: a recorded stream, or one drawn from a Zipf distribution.
//!
//! A stream is read more than once (first to learn which products exist, then to replay them), so a
//! [`Source`] opens as often as it is asked to and never holds the stream in memory.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::iter::Take;
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Zipf};

/// Every xz file begins with these bytes.
const XZ_MAGIC: &[u8] = b"\xFD7zXZ\0";
/// No key needs a line as long as this; reading stops here so that a file without line ends is not swallowed whole.
const LONGEST_LINE: u64 = 64;

/// What may be wrong with a recorded stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("no such file")]
    Missing,
    #[error("this is a directory: name a recorded stream inside it")]
    Directory,
    #[error("this is no regular file, and a stream is read more than once: save it to a file first")]
    NotRewindable,
    #[error("the stream is empty: there is nothing to replay")]
    Empty,
    #[error("the stream ends inside a key: a key has 4 bytes, the one at byte {at} has only {left}")]
    Truncated { at: u64, left: usize },
    #[error("line {line}: `{text}` is not a key, which is a whole number from 0 to {}", u32::MAX)]
    NotAKey { line: u64, text: String },
    #[error("named .xz, but it does not begin like an xz file")]
    NotXz,
    #[error("the xz data are damaged or cut off: {0}")]
    Damaged(io::Error),
    #[error(transparent)]
    Io(io::Error),
}

/// A stream of product ids that can be opened again and again.
pub(crate) enum Source {
    /// Recorded in a file.
    Recorded(PathBuf),
    /// Drawn with a fixed seed: the same stream each time it is opened.
    Zipf { requests: usize, products: u32, exponent: f64 },
}

/// The keys of a stream, in request order.
pub(crate) type Keys = Box<dyn Iterator<Item = Result<u32, StreamError>> + Send>;

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Recorded(path) => path.display().fmt(out),
            Source::Zipf { exponent, .. } => {
                write!(out, "a generated Zipf stream (exponent {exponent})")
            }
        }
    }
}

impl Source {
    /// Opens the stream at its first key.
    pub(crate) fn keys(&self) -> Result<Keys, StreamError> {
        match *self {
            Source::Recorded(ref path) => recorded(path),
            Source::Zipf { requests, products, exponent } => Ok(Box::new(zipf(requests, products, exponent))),
        }
    }
}

fn zipf(requests: usize, products: u32, exponent: f64) -> Take<impl Iterator<Item = Result<u32, StreamError>>> {
    let popularity = Zipf::new(f64::from(products), exponent).expect("the parameters are constants of this example");
    let mut random = SmallRng::seed_from_u64(42);
    std::iter::repeat_with(move || Ok(popularity.sample(&mut random) as u32)).take(requests)
}

fn recorded(path: &Path) -> Result<Keys, StreamError> {
    let about = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StreamError::Missing,
        _ => StreamError::Io(error),
    })?;
    if about.is_dir() {
        return Err(StreamError::Directory);
    }
    if !about.is_file() {
        return Err(StreamError::NotRewindable);
    }
    let file = BufReader::new(File::open(path).map_err(StreamError::Io)?);
    decode(file, path)
}

/// Chooses the decoder: the content says whether it is compressed, the name which format it is, and
/// where the name says nothing, the content again.
fn decode(mut input: impl BufRead + Send + 'static, name: &Path) -> Result<Keys, StreamError> {
    let start = input.fill_buf().map_err(StreamError::Io)?;
    if start.is_empty() {
        return Err(StreamError::Empty);
    }
    let xz = start.starts_with(XZ_MAGIC);
    let named_xz = name.extension().is_some_and(|it| it.eq_ignore_ascii_case("xz"));
    if named_xz && !xz {
        return Err(StreamError::NotXz);
    }
    let mut input: Box<dyn BufRead + Send> = match xz {
        true => Box::new(BufReader::new(Unxz(XzReader::new(input, true)))),
        false => Box::new(input),
    };
    let start = input.fill_buf().map_err(from_io)?;
    let name = if named_xz { name.file_stem().map(Path::new) } else { Some(name) };
    let text = match name.and_then(Path::extension).map(|it| it.to_ascii_lowercase()) {
        Some(it) if it == "txt" => true,
        Some(it) if it == "trace" || it == "bin" => false,
        _ => start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()),
    };
    Ok(match text {
        true => Box::new(Text { input, line: 0 }),
        false => Box::new(Binary { input, at: 0 }),
    })
}

/// Marks the errors of the decompressor, so that they can be told from those of the disk.
struct Unxz<R: Read>(XzReader<R>);

impl<R: Read> Read for Unxz<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

fn from_io(error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::InvalidData => StreamError::Damaged(error),
        _ => StreamError::Io(error),
    }
}

/// Big-endian `u32`s, one after the other.
struct Binary<R> {
    input: R,
    at: u64,
}

impl<R: Read> Iterator for Binary<R> {
    type Item = Result<u32, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut key = [0; 4];
        let mut filled = 0;
        while filled < key.len() {
            match self.input.read(&mut key[filled..]) {
                Ok(0) if filled == 0 => return None,
                Ok(0) => {
                    return Some(Err(StreamError::Truncated { at: self.at, left: filled }));
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(from_io(error))),
            }
        }
        self.at += 4;
        Some(Ok(u32::from_be_bytes(key)))
    }
}

/// One decimal key a line; empty lines are passed over.
struct Text<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Iterator for Text<R> {
    type Item = Result<u32, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut bytes = Vec::new();
            self.line += 1;
            match self.input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(from_io(error))),
            }
            let cut_short = bytes.len() as u64 == LONGEST_LINE && bytes.last() != Some(&b'\n');
            let text = String::from_utf8_lossy(bytes.trim_ascii());
            match text.parse() {
                Ok(key) if !cut_short => return Some(Ok(key)),
                Err(_) if text.is_empty() && !cut_short => {}
                _ => {
                    return Some(Err(StreamError::NotAKey { line: self.line, text: text.escape_debug().to_string() }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys 7, 8 and 4 294 967 295 as text, one a line, packed by `xz`.
    const PACKED_TEXT: &[u8] =
        b"\xFD7zXZ\0\0\x04\xE6\xD6\xB4F\x02\0!\x01\x1C\0\0\0\x10\xCFX\xCC\x01\0\x0E7\x0A8\x0A4294967\
        295\x0A\0\0\xF8I\x9E''\x12`\xAF\0\x01'\x0F\xDF\x1A\xFCj\x1F\xB6\xF3}\x01\0\0\0\0\x04YZ";

    fn read(name: &str, bytes: &'static [u8]) -> Result<Vec<u32>, StreamError> {
        decode(bytes, Path::new(name))?.collect()
    }

    fn complaint(name: &str, bytes: &'static [u8]) -> String {
        read(name, bytes).expect_err("the stream is bad").to_string()
    }

    #[test]
    fn binary_keys_are_big_endian() {
        assert_eq!(read("keys.trace", &[0, 0, 0, 7, 0x40, 0, 0, 1]).unwrap(), [7, 0x4000_0001]);
    }

    #[test]
    fn text_keys_stand_one_a_line() {
        assert_eq!(read("keys.txt", b"7\r\n\n  8 \n4294967295").unwrap(), [7, 8, u32::MAX]);
    }

    #[test]
    fn compressed_keys_are_unpacked_on_the_way() {
        assert_eq!(read("keys.txt.xz", PACKED_TEXT).unwrap(), [7, 8, u32::MAX]);
    }

    #[test]
    fn without_a_telling_name_the_content_decides() {
        assert_eq!(read("keys", b"12\n34\n").unwrap(), [12, 34]);
        assert_eq!(read("keys", &[0, 0, 0, 12]).unwrap(), [12]);
        assert_eq!(read("keys", PACKED_TEXT).unwrap(), [7, 8, u32::MAX]);
        assert_eq!(read("keys.XZ", PACKED_TEXT).unwrap(), [7, 8, u32::MAX]);
    }

    #[test]
    fn the_name_outweighs_the_content() {
        assert_eq!(read("digits.bin", b"1234").unwrap(), [0x3132_3334]);
    }

    #[test]
    fn a_truncated_key_is_reported_with_its_byte() {
        let complaint = complaint("keys.bin", &[0, 0, 0, 7, 0, 0, 1]);
        assert!(complaint.contains("the one at byte 4 has only 3"), "{complaint}");
    }

    #[test]
    fn junk_is_reported_with_its_line() {
        for (bytes, said) in [
            (b"1\n\ntwo\n" as &[u8], "line 3: `two` is not a key"),
            (b"1\n-2\n", "line 2: `-2` is not a key"),
            (b"1 2\n", "line 1: `1 2` is not a key"),
            (b"4294967296\n", "line 1: `4294967296` is not a key"),
            (b"\xFF\x1B\n", "line 1: `\u{FFFD}\\u{1b}` is not a key"),
        ] {
            let complaint = complaint("keys.txt", bytes);
            assert!(complaint.starts_with(said), "{complaint}");
        }
    }

    #[test]
    fn a_file_without_line_ends_is_not_read_whole() {
        let complaint = complaint("keys.txt", &[b'9'; 1 << 20]);
        assert!(complaint.len() < 200, "{complaint}");
    }

    #[test]
    fn an_empty_file_holds_nothing_to_replay() {
        assert!(matches!(read("keys.trace", b""), Err(StreamError::Empty)));
    }

    #[test]
    fn damaged_and_cut_off_xz_are_told_from_other_faults() {
        assert!(matches!(read("keys.txt.xz", b"7\n8\n"), Err(StreamError::NotXz)));
        assert!(matches!(read("keys.txt.xz", &PACKED_TEXT[..40]), Err(StreamError::Damaged(_))));
    }

    #[test]
    fn a_missing_file_and_a_directory_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: PathBuf| Source::Recorded(path).keys().err();
        assert!(matches!(open(folder.path().join("none.trace")), Some(StreamError::Missing)));
        assert!(matches!(open(folder.path().to_path_buf()), Some(StreamError::Directory)));
    }

    #[test]
    fn a_zipf_stream_is_the_same_each_time() {
        let source = Source::Zipf { requests: 1000, products: 50, exponent: 0.99 };
        let keys = || source.keys().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(keys(), keys());
        assert!(keys().iter().all(|key| (1..=50).contains(key)));
    }
}
