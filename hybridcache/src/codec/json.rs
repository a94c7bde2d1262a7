use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BoxError, Codec};

/// JSON: bigger and slower than [`MsgPack`](super::MsgPack), and readable in `redis-cli`.
///
/// Numbers come back exactly, but infinities and NaN do not come back: as an `Option` they read as `None`, otherwise
/// the record is a miss. The keys of maps have to be strings or numbers. `Some` of what is `null` itself (`None`, `()`, a
/// unit struct) comes back as `None`. A value nested deeper than 128 cannot be read back, nor can an `i128` or `u128`
/// inside of `flatten`, `tag` or `untagged`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    const ID: u8 = 2;

    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(into, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
