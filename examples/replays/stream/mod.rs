//! Where the requests of the examples come from: a recorded stream, or one drawn from a Zipf distribution.
//!
//! A stream is read more than once (first to learn what is in it, then to replay it), so a [`Source`] opens as often as
//! it is asked to and never holds the stream in memory.

mod formats;
mod packed;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Zipf};

/// What may be wrong with a recorded stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// There is nothing at this path.
    #[error("no such file")]
    Missing,
    /// It is a directory.
    #[error("this is a directory: name a recorded stream inside it")]
    Directory,
    /// A pipe, a socket, a device.
    #[error("this is not a regular file, and a stream is read more than once: save it to a file first")]
    NotRewindable,
    /// Not even one byte.
    #[error("the stream is empty: there is nothing to replay")]
    Empty,
    /// A binary stream whose length is no multiple of the key's.
    #[error("the stream ends inside a key: a key has 4 bytes, the one at byte {at} has only {left}")]
    Truncated {
        /// Where the last key begins.
        at: u64,
        /// How many bytes of it there are.
        left: usize,
    },
    /// A line of text that is no key.
    #[error("line {line}: `{text}` is not a key, which is a whole number from 0 to {most}", most = u64::MAX)]
    NotAKey {
        /// Counted from 1.
        line: u64,
        /// What stands there.
        text: String,
    },
    /// A key that the reader has no room for.
    #[error("the key {0} is too large: here keys go up to {most}; those of a table (.csv) are hashes, so no table can be read", most = u32::MAX)]
    TooLarge(u64),
    /// A line of an ARC trace that does not begin with two numbers, or whose range is too long or ends beyond the keys.
    #[error(
        "line {line}: `{text}` is not a range of an ARC trace, which is a first key, a count up to {most}, and two \
         numbers more",
        most = formats::LONGEST_RANGE
    )]
    NotARange {
        /// Counted from 1.
        line: u64,
        /// What stands there.
        text: String,
    },
    /// A column was asked for, of what is no table.
    #[error("`--column` is for tables (.csv), and this is none")]
    NotATable,
    /// A table without the column that was asked for.
    #[error("there is no column `{0}`: give the name of one in the first row, or its number, from 1")]
    NoColumn(String),
    /// A row of a table that ends before the column that was asked for, or is no text of a table at all.
    #[error("row {row}: {reason}")]
    Row {
        /// Counted from 1.
        row: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Named like a packed file, with other content.
    #[error("named .{0}, but it does not begin like such a file")]
    NotPacked(&'static str),
    /// Packed in a way that is not read here.
    #[error(".{0} is not unpacked here: unpack it first, or pack it as .xz or .zst")]
    PackedOtherwise(&'static str),
    /// The data of a packed file cannot be unpacked.
    #[error("the packed data are damaged or cut off: {0}")]
    Damaged(io::Error),
    /// The system could not read.
    #[error(transparent)]
    Io(io::Error),
}

/// A stream of keys that can be opened again and again.
#[derive(Clone, Debug)]
pub enum Source {
    /// Recorded in a file; its name and content say how, see [`Source::recorded`].
    Recorded {
        /// Where it is.
        path: PathBuf,
        /// In a table, the column with the keys: its name in the first row, or its number, from 1, in a table without
        /// names. `None` is the first, without names. What is not a table has no column.
        column: Option<String>,
    },
    /// Drawn with a fixed seed: the same stream each time it is opened.
    Zipf {
        /// How many.
        requests: usize,
        /// Keys are from 1 to this.
        products: u32,
        /// How skewed; 0 is uniform.
        exponent: f64,
    },
}

/// The keys of a stream, in request order.
pub type Keys<K = u64> = Box<dyn Iterator<Item = Result<K, StreamError>> + Send>;

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Recorded { path, .. } => path.display().fmt(out),
            Source::Zipf { exponent, .. } => {
                write!(out, "a generated Zipf stream (exponent {exponent})")
            }
        }
    }
}

impl Source {
    /// A stream in a file: big-endian `u32` keys (`.trace`, `.bin`), one decimal key a line (`.txt`), ranges of keys as
    /// ARC traces have them (`.lis`, at most 1,000,000,000 keys a line), or a table (`.csv`), each as it is or packed
    /// (`.xz`, `.zst`). Where the name says nothing, the content tells binary keys from text.
    #[must_use]
    pub fn recorded(path: PathBuf) -> Self {
        Self::Recorded { path, column: None }
    }

    /// Opens the stream at its first key.
    ///
    /// # Errors
    ///
    /// There is no such stream, or its first bytes are wrong already.
    pub fn keys(&self) -> Result<Keys, StreamError> {
        match *self {
            Source::Recorded { ref path, ref column } => recorded(path, column.as_deref()),
            Source::Zipf { requests, products, exponent } => Ok(Box::new(zipf(requests, products, exponent))),
        }
    }

    /// [`keys`](Self::keys) for who can use small ones only.
    ///
    /// # Errors
    ///
    /// As `keys`.
    pub fn small_keys(&self) -> Result<Keys<u32>, StreamError> {
        let small =
            |key: Result<u64, _>| key.and_then(|key| u32::try_from(key).map_err(|_| StreamError::TooLarge(key)));
        Ok(Box::new(self.keys()?.map(small)))
    }
}

fn zipf(requests: usize, products: u32, exponent: f64) -> impl Iterator<Item = Result<u64, StreamError>> {
    let popularity = Zipf::new(f64::from(products), exponent).expect("the parameters are constants of an example");
    let mut random = SmallRng::seed_from_u64(42);
    std::iter::repeat_with(move || Ok(popularity.sample(&mut random) as u64)).take(requests)
}

fn recorded(path: &Path, column: Option<&str>) -> Result<Keys, StreamError> {
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
    let (input, name) = packed::unpack(file, path)?;
    formats::decode(input, name, column)
}

/// Tells the errors of a decompressor, which marks them, from those of the disk.
fn from_io(error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::InvalidData => StreamError::Damaged(error),
        _ => StreamError::Io(error),
    }
}

#[cfg(test)]
mod tests;
