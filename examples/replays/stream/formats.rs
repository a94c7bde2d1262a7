//! How keys stand in a stream.

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::path::Path;

use super::packed::Input;
use super::{Keys, StreamError, from_io};

/// No line needs to be as long as this; reading stops here so that a file without line ends is not swallowed whole.
const LONGEST_LINE: u64 = 128;
/// The same for a row of a table.
const LONGEST_ROW: usize = 1 << 20;
/// No request reads as many blocks as this: a line that says so is damaged, and would be replayed for years.
pub(crate) const LONGEST_RANGE: u64 = 1_000_000_000;

/// Chooses the format: by name, and where that says nothing, by content.
pub(crate) fn decode(mut input: Input, name: &Path, column: Option<&str>) -> Result<Keys, StreamError> {
    let start = input.fill_buf().map_err(from_io)?;
    let text = start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let ending = name.extension().map(|it| it.to_ascii_lowercase().to_string_lossy().into_owned());
    Ok(match ending.as_deref() {
        Some("csv") => Box::new(Table::open(input, column)?),
        _ if column.is_some() => return Err(StreamError::NotATable),
        Some("lis") => Box::new(Ranges { lines: Lines { input, number: 0 }, open: 0..0 }),
        Some("txt") => Box::new(Text(Lines { input, number: 0 })),
        Some("trace" | "bin") => Box::new(Binary { input, at: 0 }),
        _ if text => Box::new(Text(Lines { input, number: 0 })),
        _ => Box::new(Binary { input, at: 0 }),
    })
}

/// Big-endian `u32`s, one after the other.
struct Binary {
    input: Input,
    at: u64,
}

impl Iterator for Binary {
    type Item = Result<u64, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut key = [0; 4];
        let mut filled = 0;
        while filled < key.len() {
            match self.input.read(&mut key[filled..]) {
                Ok(0) if filled == 0 => return None,
                Ok(0) => return Some(Err(StreamError::Truncated { at: self.at, left: filled })),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(from_io(error))),
            }
        }
        self.at += 4;
        Some(Ok(u32::from_be_bytes(key).into()))
    }
}

/// The lines that are not blank, with their numbers.
struct Lines {
    input: Input,
    number: u64,
}

impl Lines {
    /// What stands on the next line, made into something by `parse`, or what to complain about.
    fn next<T>(
        &mut self,
        parse: impl FnOnce(&str) -> Option<T>,
        complain: impl FnOnce(u64, String) -> StreamError,
    ) -> Option<Result<T, StreamError>> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            self.number += 1;
            match self.input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(from_io(error))),
            }
            let cut_short = bytes.len() as u64 == LONGEST_LINE && bytes.last() != Some(&b'\n');
            let text = String::from_utf8_lossy(bytes.trim_ascii());
            if text.is_empty() && !cut_short {
                continue;
            }
            let parsed = if cut_short { None } else { parse(&text) };
            return Some(parsed.ok_or_else(|| complain(self.number, text.escape_debug().to_string())));
        }
    }
}

/// One decimal key a line.
struct Text(Lines);

impl Iterator for Text {
    type Item = Result<u64, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|text| text.parse().ok(), |line, text| StreamError::NotAKey { line, text })
    }
}

/// Lines of `first count flags number`, each of which stands for `count` keys in a row.
struct Ranges {
    lines: Lines,
    open: Range<u64>,
}

impl Iterator for Ranges {
    type Item = Result<u64, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.open.next() {
                return Some(Ok(key));
            }
            let range = |text: &str| {
                let mut fields = text.split_ascii_whitespace();
                let (first, count) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse().ok()?);
                if count > LONGEST_RANGE {
                    return None;
                }
                Some(first..first.checked_add(count)?)
            };
            match self.lines.next(range, |line, text| StreamError::NotARange { line, text })? {
                Ok(range) => self.open = range,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// A column of a table. A key is the hash of what stands there.
struct Table {
    rows: csv::Reader<Bounded>,
    row: csv::ByteRecord,
    column: usize,
}

impl Table {
    fn open(input: Input, column: Option<&str>) -> Result<Self, StreamError> {
        let number = column.map_or(Ok(1), str::parse::<usize>);
        let input = Bounded { input, row: 0 };
        let mut rows = csv::ReaderBuilder::new().has_headers(number.is_err()).flexible(true).from_reader(input);
        let found = match number {
            Ok(number) => number.checked_sub(1),
            Err(_) => {
                let names = rows.byte_headers().map_err(|error| Self::complaint(1, error))?;
                names.iter().position(|name| Some(name) == column.map(str::as_bytes))
            }
        };
        let column = found.ok_or_else(|| StreamError::NoColumn(column.unwrap_or_default().to_owned()))?;
        Ok(Self { rows, row: csv::ByteRecord::new(), column })
    }

    fn complaint(row: u64, error: csv::Error) -> StreamError {
        match error.into_kind() {
            csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                StreamError::Row { row, reason: error.to_string() }
            }
            csv::ErrorKind::Io(error) => from_io(error),
            other => StreamError::Row { row, reason: format!("{other:?}") },
        }
    }
}

impl Iterator for Table {
    type Item = Result<u64, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.get_mut().row = 0;
        match self.rows.read_byte_record(&mut self.row) {
            Ok(false) => None,
            Ok(true) => Some(match self.row.get(self.column) {
                Some(text) => {
                    let mut hasher = DefaultHasher::new();
                    hasher.write(text);
                    Ok(hasher.finish())
                }
                None => {
                    let row = self.row.position().map_or(0, csv::Position::record) + 1;
                    Err(StreamError::Row { row, reason: format!("it has no column {}", self.column + 1) })
                }
            }),
            Err(error) => Some(Err(Self::complaint(self.rows.position().record() + 1, error))),
        }
    }
}

/// Ends a row that does not end by itself, as after a quote that nobody closes.
struct Bounded {
    input: Input,
    /// What was read since the row began.
    row: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.row += read;
        if self.row > LONGEST_ROW {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than a mebibyte"));
        }
        Ok(read)
    }
}
