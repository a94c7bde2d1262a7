use prost::Message;

use super::{BoxError, Codec};

/// [Protocol Buffers](https://protobuf.dev) through [prost](https://docs.rs/prost/0.14) 0.14, for messages generated from
/// a `.proto` file or derived. An `Arc` of a message goes through [`Shared`](super::Shared).
#[derive(Clone, Copy, Debug, Default)]
pub struct Protobuf;

/// A list of messages, each preceded by its length, as `parseDelimitedFrom` of other languages reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProtobufList;

#[diagnostic::do_not_recommend]
impl<M: Message + Default> Codec<M> for Protobuf {
    const ID: u8 = 5;

    fn encode(&self, value: &M, into: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(value.encode(into)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<M, BoxError> {
        Ok(M::decode(bytes)?)
    }
}

impl<M: Message + Default> Codec<Vec<M>> for ProtobufList {
    const ID: u8 = 6;

    fn encode(&self, value: &Vec<M>, into: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(value.iter().try_for_each(|message| message.encode_length_delimited(into))?)
    }

    fn decode(&self, mut bytes: &[u8]) -> Result<Vec<M>, BoxError> {
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            messages.push(M::decode_length_delimited(&mut bytes)?);
        }
        Ok(messages)
    }
}
