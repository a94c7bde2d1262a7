use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BoxError, Codec};

/// How deep a value may be nested. rmp's own bound of 1 024 is more than the stack of a thread holds in a debug build.
const DEPTH: usize = 128;

/// [MessagePack](https://msgpack.org) with field names: compact, and no field is taken for another.
///
/// A field that was added reads as its `#[serde(default)]`, one that was removed is passed over, one that was renamed
/// is a miss unless it may be absent. `Some(None)` and `Some(())` inside of a value come back as `None`. A value nested
/// deeper than 128 cannot be read back, nor can an `IpAddr` or `SocketAddr` inside of `flatten`, `tag` or `untagged`, where
/// serde takes every format for one that people read; nor, there, an `i128` or `u128`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MsgPack;

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Codec<T> for MsgPack {
    const ID: u8 = 1;

    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(value.serialize(&mut rmp_serde::Serializer::new(into).with_struct_map())?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
        decoder.set_max_depth(DEPTH);
        Ok(T::deserialize(&mut decoder)?)
    }
}
