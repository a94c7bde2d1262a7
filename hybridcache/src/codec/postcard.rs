use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BoxError, Codec};

/// [postcard](https://postcard.jamesmunns.com): small, fast and specified, without field names.
///
/// Change the cache's `version` with the type: fields that were reordered or renamed, or a variant that was inserted,
/// read as wrong values without an error. So does a field that serde leaves out when it writes but not when it reads: do
/// not use this codec for types with `skip_serializing_if`. Types that need a self-describing format (`flatten`, `tag`, `untagged`,
/// `serde_json::Value`) cannot be read back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Codec<T> for Postcard {
    const ID: u8 = 4;

    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result<(), BoxError> {
        *into = ::postcard::to_extend(value, std::mem::take(into))?;
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        match ::postcard::take_from_bytes(bytes)? {
            (value, []) => Ok(value),
            // A type that has lost its last field would read without an error.
            _ => Err("bytes are left over".into()),
        }
    }
}
