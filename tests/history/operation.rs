//! What a process did, as it writes it down.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// One operation of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which process: each start of a node is another.
    pub process: u64,
    /// What was done, and how it ended.
    pub what: What,
    /// On which key.
    pub key: u64,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// What was read, or committed.
    pub version: u64,
    /// Which load brought what was read.
    pub load: u64,
    /// When that load began.
    pub loaded_at: u64,
}

/// What an operation was, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum What {
    /// A read that memory answered.
    Memory,
    /// A read that Redis answered.
    Redis,
    /// A read that loaded.
    Loaded,
    /// A read that loaded without keeping the result.
    Uncached,
    /// A read that waited for another one's load.
    Shared,
    /// A read that memory or Redis answered: it does not say which.
    Found,
    /// A commit with an evict that was acknowledged.
    Evicted,
    /// A commit with a clear that was acknowledged.
    Cleared,
    /// A commit with an evict or a clear that waits for Redis to come back.
    Deferred,
    /// A commit whose value was put under a write lease. Whether that was acknowledged is not told.
    Put,
    /// A guarded write that was acknowledged.
    Guarded,
    /// A guarded write whose end was not acknowledged.
    Unsure,
    /// Not a write, but as good as one for this process: it was given a token of one.
    Told,
}

const WHATS: [What; 13] = [
    What::Memory,
    What::Redis,
    What::Loaded,
    What::Uncached,
    What::Shared,
    What::Found,
    What::Evicted,
    What::Cleared,
    What::Deferred,
    What::Put,
    What::Guarded,
    What::Unsure,
    What::Told,
];
const SIZE: usize = 64;

impl Operation {
    /// Whether it is a read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        use What::{Found, Loaded, Memory, Redis, Shared, Uncached};

        matches!(self.what, Memory | Redis | Loaded | Uncached | Shared | Found)
    }

    fn encode(&self) -> [u8; SIZE] {
        let words =
            [self.process, self.what as u64, self.key, self.start, self.end, self.version, self.load, self.loaded_at];
        let mut bytes = [0; SIZE];
        for (at, word) in bytes.chunks_exact_mut(8).zip(words) {
            at.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().unwrap());
        Self {
            process: word(0),
            what: WHATS[usize::try_from(word(1)).unwrap()],
            key: word(2),
            start: word(3),
            end: word(4),
            version: word(5),
            load: word(6),
            loaded_at: word(7),
        }
    }
}

/// Where a process writes down what it did. Each operation is one call of the system: it is kept whatever becomes of the process.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// A log in this file.
    ///
    /// # Errors
    ///
    /// The file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).append(true).open(path).map(Self)
    }

    /// Writes down one operation.
    ///
    /// # Panics
    ///
    /// If the disk is full.
    pub fn append(&self, operation: &Operation) {
        (&self.0).write_all(&operation.encode()).unwrap();
    }

    /// Everything that was written down. A process that was killed may have left the last one half done.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn read(path: &Path) -> io::Result<Vec<Operation>> {
        Ok(std::fs::read(path)?.chunks_exact(SIZE).map(Operation::decode).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_reads_back() {
        let path = std::env::temp_dir().join(format!("hybridcache-log-{}", std::process::id()));
        let operation =
            |what, key| Operation { process: 1, what, key, start: 2, end: 3, version: u64::MAX, load: 5, loaded_at: 6 };
        let all: Vec<_> = WHATS.into_iter().zip(0..).map(|(what, key)| operation(what, key)).collect();
        let log = Log::create(&path).unwrap();
        all.iter().for_each(|operation| log.append(operation));
        (&log.0).write_all(b"half").unwrap();
        assert_eq!(Log::read(&path).unwrap(), all);
        std::fs::remove_file(path).unwrap();
    }
}
