use bincode::config::{self, Configuration, Limit};
use bincode::enc::write::SizeWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BoxError, Codec};

/// How much a value may be, with each number counted at its full width. Without a limit, a few bytes that claim a long
/// string end the process: bincode allocates what they claim.
const LIMIT: usize = 8 << 20;
/// The most that a byte of an encoding can count: a `u128` below 251 is one byte.
const WIDEST: usize = size_of::<u128>();

/// [bincode](https://docs.rs/bincode/2.0.1) 2 with its standard configuration, without field names.
///
/// Change the cache's `version` with the type: fields that were reordered or renamed, or a variant that was inserted,
/// read as wrong values without an error. So does a field that serde leaves out when it writes but not when it reads: do
/// not use this codec for types with `skip_serializing_if`. Types that need a self-describing format (`flatten`, `tag`, `untagged`,
/// `serde_json::Value`) cannot be read back. A value of more than 8 MiB, with each number counted at its full width, is
/// not sent.
///
/// # The advisory
///
/// bincode is not maintained any more: [RUSTSEC-2025-0141](https://rustsec.org/advisories/RUSTSEC-2025-0141) says so
/// of all its versions, and version 3.0.0 is a notice that does not compile. No vulnerability is known. This codec
/// uses 2.0.1, the last release, without its derives, always with a limit, and is fuzzed. It is here for those who
/// have bincode already; [`Postcard`](super::Postcard) is its maintained equal. The advisory concerns only builds with
/// the feature `bincode`; those can tell `cargo deny` in `deny.toml`:
///
/// ```toml
/// [advisories]
/// ignore = [{ id = "RUSTSEC-2025-0141", reason = "unmaintained, not vulnerable: hybridcache's codec `Bincode`" }]
/// ```
///
/// and `cargo audit` in `.cargo/audit.toml`:
///
/// ```toml
/// [advisories]
/// ignore = ["RUSTSEC-2025-0141"]
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Bincode;

const fn limited() -> Configuration<config::LittleEndian, config::Varint, Limit<LIMIT>> {
    config::standard().with_limit::<LIMIT>()
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Codec<T> for Bincode {
    const ID: u8 = 3;

    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result<(), BoxError> {
        bincode::serde::encode_into_std_write(value, into, limited())?;
        // What the limit would not let through again must not be sent: it would be a miss for ever.
        if into.len() > LIMIT / WIDEST {
            let mut size = SizeWriter::default();
            bincode::serde::encode_into_writer(value, &mut size, config::standard().with_fixed_int_encoding())?;
            if size.bytes_written > LIMIT {
                return Err("more than 8 MiB".into());
            }
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        let (value, read) = bincode::serde::decode_from_slice(bytes, limited())?;
        // A type that has lost its last field would read without an error.
        if read < bytes.len() { Err("bytes are left over".into()) } else { Ok(value) }
    }
}
