use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BoxError, Codec};

/// How deep a value may be nested. rmp's own bound of 1 024 is more than the stack of a thread holds in a debug build.
const DEPTH: usize = 128;

/// [MessagePack](https://msgpack.org) with field names: compact, and no field is taken for another.
///
/// A field that was added reads as its `#[serde(default)]`, one that was removed is ignored, and one that was renamed
/// makes the record a miss unless the field may be absent. `Some(None)` and `Some(())` inside a value come back as `None`. A value
/// nested deeper than 128 cannot be read back. Nor, inside `flatten`, `tag` or `untagged`, can an `i128`, a `u128`, or an `IpAddr` or
/// `SocketAddr`, because serde takes every format for a human-readable one there.
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
