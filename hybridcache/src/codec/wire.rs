//! Values as records, and records as values.

use std::fmt;
use std::sync::Arc;

use super::compress::{self, Compression, UNCOMPRESSED};
use super::{BoxError, Codec};
use crate::key::text::KeyText;
use crate::record::{self, Content, Filled, Stamp};
use crate::rt;

/// The most that a value may be, before compression, unless it is said otherwise.
pub(crate) const DEFAULT_MAX_BYTES: usize = 8 << 20;

/// How the values of one cache travel. Made where it is known that the codec takes `V`, and cloned at the cost of an
/// `Arc`.
pub(crate) struct Wire<V> {
    codec: Arc<dyn Erased<V>>,
    id: u8,
    schema: u32,
    compression: Compression,
    max_bytes: u32,
}

/// Why a value was not made a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsent {
    /// It is longer than it may be, or has more than 255 tags.
    #[error("it is too large")]
    TooLarge,
    /// The codec failed, or panicked.
    #[error("codec: {0}")]
    Codec(BoxError),
}

/// Why a record is not a value. It is a miss, and to be overwritten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// Written under another schema version.
    #[error("another schema version")]
    OtherSchema,
    /// Written by another codec.
    #[error("another codec")]
    OtherCodec,
    /// The check fails: it is the record of another key, or damaged.
    #[error("damaged, or the value of another key")]
    OtherKey,
    /// Longer than a value may be.
    #[error("it is too large")]
    TooLarge,
    /// It does not decompress to what it says, or this build does not have the feature of its compression.
    #[error("it does not decompress")]
    Compression,
    /// The codec failed, or panicked.
    #[error("codec: {0}")]
    Codec(BoxError),
}

/// A [`Codec`] whose type is forgotten.
trait Erased<V>: Send + Sync {
    fn encode(&self, value: &V, into: &mut Vec<u8>) -> Result<(), BoxError>;
    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError>;
}

impl<V, C: Codec<V>> Erased<V> for C {
    fn encode(&self, value: &V, into: &mut Vec<u8>) -> Result<(), BoxError> {
        Codec::encode(self, value, into)
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError> {
        Codec::decode(self, bytes)
    }
}

impl<V: 'static> Wire<V> {
    /// `max_bytes` bounds a value before compression, on its way out and on its way in.
    pub(crate) fn new<C: Codec<V>>(codec: C, schema: u32, compression: Compression, max_bytes: usize) -> Self {
        let max_bytes = u32::try_from(max_bytes).unwrap_or(u32::MAX);
        Self { codec: Arc::new(codec), id: C::ID, schema, compression, max_bytes }
    }

    /// The record of a value, or of there being none. User code runs (the codec, `Serialize`).
    pub(crate) fn encode(&self, key: &KeyText, value: Option<&V>, stamp: &Stamp<'_>) -> Result<Vec<u8>, Unsent> {
        if stamp.tags.len() > record::MAX_TAGS {
            return Err(Unsent::TooLarge);
        }
        let Some(value) = value else {
            return Ok(record::encode_filled(key.hash(), self.schema, stamp, Content::Nothing));
        };
        let mut encoded = Vec::new();
        rt::guarded("codec", || self.codec.encode(value, &mut encoded))
            .unwrap_or_else(|| Err("the codec panicked".into()))
            .map_err(Unsent::Codec)?;
        let length = u32::try_from(encoded.len()).ok().filter(|length| *length <= self.max_bytes);
        let length = length.ok_or(Unsent::TooLarge)?;
        let (compression, payload) = self.compression.compress(&encoded).unwrap_or((UNCOMPRESSED, encoded));
        let content = Content::Value { codec: self.id, compression, length, payload: &payload };
        Ok(record::encode_filled(key.hash(), self.schema, stamp, content))
    }

    /// The value of a record, or that there is none. User code runs (the codec, `Deserialize`). Nothing is
    /// allocated before it is known to be no longer than a value may be.
    pub(crate) fn decode(&self, key: &KeyText, record: &Filled<'_>) -> Result<Option<V>, Unusable> {
        if record.schema != self.schema {
            return Err(Unusable::OtherSchema);
        }
        let (codec, compression, length, payload) = match record.content {
            Content::Nothing if record.belongs_to(key.hash()) => return Ok(None),
            Content::Nothing => return Err(Unusable::OtherKey),
            Content::Value { codec, compression, length, payload } => (codec, compression, length, payload),
        };
        if codec != self.id {
            return Err(Unusable::OtherCodec);
        }
        if length > self.max_bytes {
            return Err(Unusable::TooLarge);
        }
        if !record.belongs_to(key.hash()) {
            return Err(Unusable::OtherKey);
        }
        let encoded = compress::decompress(compression, payload, length as usize).ok_or(Unusable::Compression)?;
        rt::guarded("codec", || self.codec.decode(&encoded))
            .unwrap_or_else(|| Err("the codec panicked".into()))
            .map(Some)
            .map_err(Unusable::Codec)
    }
}

impl<V> Clone for Wire<V> {
    fn clone(&self) -> Self {
        Self { codec: Arc::clone(&self.codec), ..*self }
    }
}

impl<V> fmt::Debug for Wire<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("codec", &self.id)
            .field("schema", &self.schema)
            .field("compression", &self.compression)
            .field("max_bytes", &self.max_bytes)
            .finish()
    }
}
