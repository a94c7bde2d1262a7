//! How values travel to remote tiers: codecs and compression.
//!
//! | codec | feature | values | told apart by | limits |
//! |---|---|---|---|---|
//! | [`MsgPack`], the default | `msgpack` | serde | field names | `Some(None)` and `Some(())` come back as `None` |
//! | [`Json`] | `json` | serde | field names | that, and no infinities, no maps with compound keys |
//! | [`Postcard`] | `postcard` | serde | position | no `flatten`, no `tag`, no `untagged`; with `skip_serializing_if` wrong values |
//! | [`Bincode`] | `bincode` | serde | position | those, and a crate that is not maintained any more |
//! | [`Protobuf`], [`ProtobufList`] | `protobuf` | [`prost`](https://docs.rs/prost/0.14) 0.14 messages | field numbers | |
//!
//! *Position* means that a record written before a field was renamed, reordered or changed its type may be read as a
//! wrong value without an error. With such a codec, change the cache's `version` with the type. The others
//! read what has the same name or number, and notice if something is missing that has to be there.
//!
//! The outer `Option` or `Result` of a function is the cache's, not the codec's. `Arc<T>` works wherever `T` does:
//! with the codecs of serde by itself, with the others through [`Shared`].
//!
//! # Hostile records
//!
//! A record that cannot be read is a miss, is counted, and is overwritten. Whatever it contains, no codec of this module
//! panics on it, and for a length that is merely claimed none allocates more than 1 MiB per list ([`Bincode`]: 8
//! MiB). If somebody hostile can write to your Redis, [`Postcard`] and [`Bincode`] have two weaknesses: they do not limit
//! nesting, so that a record of a *recursive* type can overflow the stack, and they do not limit the length of a
//! list of empty elements (`Vec<()>`). The other codecs stop at a depth of about 100, which does not help a type
//! that is nothing but an option of itself (`struct N(Option<Box<N>>)`): no codec of serde can read that one.
//!
#![cfg_attr(not(feature = "full"), doc = include_str!("../../docs/not_in_this_build.md"))]

#[cfg(feature = "bincode")]
mod bincode;
#[cfg(feature = "redis")]
mod compress;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "postcard")]
mod postcard;
#[cfg(feature = "protobuf")]
mod protobuf;
#[cfg(feature = "redis")]
pub(crate) mod wire;

use std::sync::Arc;

#[cfg(feature = "bincode")]
#[cfg_attr(docsrs, doc(cfg(feature = "bincode")))]
pub use self::bincode::Bincode;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::compress::Compression;
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use self::json::Json;
#[cfg(feature = "msgpack")]
#[cfg_attr(docsrs, doc(cfg(feature = "msgpack")))]
pub use self::msgpack::MsgPack;
#[cfg(feature = "postcard")]
#[cfg_attr(docsrs, doc(cfg(feature = "postcard")))]
pub use self::postcard::Postcard;
#[cfg(feature = "protobuf")]
#[cfg_attr(docsrs, doc(cfg(feature = "protobuf")))]
pub use self::protobuf::{Protobuf, ProtobufList};

/// Why a value could not be encoded or decoded. It goes to the log; the caller of a cached function never sees it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Turns values into bytes, and bytes into values.
///
/// A codec of your own is named by its path: `codec = crate::Packed`.
///
/// ```
/// use hybridcache::codec::{BoxError, Codec};
///
/// struct Price { cents: u64 }
///
/// struct Packed;
///
/// impl Codec<Price> for Packed {
///     const ID: u8 = 200;
///
///     fn encode(&self, value: &Price, into: &mut Vec<u8>) -> Result<(), BoxError> {
///         into.extend_from_slice(&value.cents.to_be_bytes());
///         Ok(())
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<Price, BoxError> {
///         Ok(Price { cents: u64::from_be_bytes(bytes.try_into()?) })
///     }
/// }
/// # let mut bytes = Vec::new();
/// # Packed.encode(&Price { cents: 7 }, &mut bytes).unwrap();
/// # assert_eq!(Packed.decode(&bytes).unwrap().cents, 7);
/// ```
///
/// The bytes that it has to decode may come from anybody: it has to return an error if they are not a value, and should
/// not allocate for a length that they merely claim. A panic counts as an error.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be kept on a remote tier by the codec `{Self}`",
    label = "`{Self}` has no encoding for `{T}`",
    note = "`MsgPack`, `Json`, `Postcard` and `Bincode` take what is `serde::Serialize + serde::de::DeserializeOwned`",
    note = "`Protobuf` takes a `prost::Message + Default`, `ProtobufList` a `Vec` of such, `Shared(Protobuf)` an `Arc` of one",
    note = "a type of your own codec implements `hybridcache::codec::Codec<{T}>`"
)]
pub trait Codec<T>: Send + Sync + 'static {
    /// Marks records, so that what another codec wrote is a miss. Numbers below 128 are this crate's.
    const ID: u8;

    /// Appends the encoding of `value` to `into`, which is empty.
    ///
    /// # Errors
    ///
    /// If the value has no encoding. Then it is not sent, and that is counted.
    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// If these bytes are not a value. Then the call is a miss, and that is counted.
    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError>;
}

/// A codec for `Arc<T>`, made from one for `T`. The codecs of serde do not need it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shared<C>(pub C);

#[diagnostic::do_not_recommend]
impl<T, C: Codec<T>> Codec<Arc<T>> for Shared<C> {
    const ID: u8 = C::ID;

    fn encode(&self, value: &Arc<T>, into: &mut Vec<u8>) -> Result<(), BoxError> {
        self.0.encode(value, into)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Arc<T>, BoxError> {
        self.0.decode(bytes).map(Arc::new)
    }
}

#[cfg(all(test, feature = "full"))]
pub(crate) mod tests;
