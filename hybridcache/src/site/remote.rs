//! What an annotated function with a remote tier asks of its types and of this build.
//!
//! The attribute cannot see which features are on. It writes the name of each thing it needs as a macro, with the place
//! in the attribute that asked for it: that is the thing itself, or an error there that names the feature.

#[cfg(not(feature = "redis"))]
pub use absent::{Codec, EncodedBy, SpelledPart, SpelledTarget};
#[cfg(feature = "redis")]
pub use present::{Codec, EncodedBy, SpelledPart, SpelledTarget};

use std::marker::PhantomData;

#[cfg(feature = "redis")]
mod present {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::codec::BoxError;
    pub use crate::codec::Codec;

    /// A type that can be part of a key on a remote tier.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be part of a key on a remote tier",
        label = "this argument is part of the key",
        note = "the key is spelled as JSON there: derive `serde::Serialize` and `serde::Deserialize` for `{Self}`",
        note = "or leave the argument out with `skip(argument)`, or choose the key with `key(..)`"
    )]
    pub trait SpelledPart: Serialize + DeserializeOwned {}

    #[diagnostic::do_not_recommend]
    impl<K: Serialize + DeserializeOwned> SpelledPart for K {}

    /// A type that is looked up by reference, and spelled as what `ToOwned` makes of it.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be part of a key on a remote tier",
        label = "this argument is part of the key",
        note = "the key is spelled as JSON there: derive `serde::Serialize` and `serde::Deserialize` for `{Self}`",
        note = "or leave the argument out with `skip(argument)`, or choose the key with `key(..)`"
    )]
    pub trait SpelledTarget {}

    #[diagnostic::do_not_recommend]
    impl<T: ?Sized + ToOwned<Owned: SpelledPart>> SpelledTarget for T {}

    /// A value that a codec takes.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be kept on a remote tier by the codec `{C}`",
        label = "this value would be encoded by `{C}`",
        note = "`MsgPack`, `Json`, `Postcard` and `Bincode` take what derives `serde::Serialize` and `serde::Deserialize`",
        note = "`Protobuf` takes a `prost::Message + Default`",
        note = "a codec of your own is named by its path, as in `codec = path::to::Packed`"
    )]
    pub trait EncodedBy<C> {}

    #[diagnostic::do_not_recommend]
    impl<V, C: Codec<V>> EncodedBy<C> for V {}

    #[diagnostic::do_not_recommend]
    impl<V> Codec<V> for super::Missing {
        const ID: u8 = 0;

        fn encode(&self, _: &V, _: &mut Vec<u8>) -> Result<(), BoxError> {
            Err("this build does not have the codec".into())
        }

        fn decode(&self, _: &[u8]) -> Result<V, BoxError> {
            Err("this build does not have the codec".into())
        }
    }
}

/// Without a remote tier that is said once, and nothing else is asked.
#[cfg(not(feature = "redis"))]
mod absent {
    /// Any type.
    pub trait SpelledPart {}

    impl<K> SpelledPart for K {}

    /// Any type.
    pub trait SpelledTarget {}

    impl<T: ?Sized> SpelledTarget for T {}

    /// Any value, by anything.
    pub trait EncodedBy<C> {}

    impl<V, C> EncodedBy<C> for V {}

    /// Anything.
    pub trait Codec<V> {}

    impl<V, C> Codec<V> for C {}
}

/// Takes the place of a codec that this build does not have, so that this is all that is said about it.
#[derive(Debug)]
pub struct Missing;

/// Fails to compile, at the argument, for a type that cannot be spelled.
#[must_use]
pub const fn assert_spelled<K: SpelledPart>() -> usize {
    0
}

/// [`assert_spelled`] for the target of a reference.
#[must_use]
pub const fn assert_spelled_target<T: ?Sized + SpelledTarget>() -> usize {
    0
}

/// Fails to compile, at the return type, for a value that the codec does not take.
#[must_use]
pub const fn assert_encoded<V: EncodedBy<C>, C>() -> usize {
    0
}

/// A part of a key whose type is checked where this is named: in the clause of a function that no array can stand beside.
#[derive(Debug)]
pub struct Spelled<K: SpelledPart>(PhantomData<fn() -> K>);

/// [`Spelled`] for the target of a reference.
#[derive(Debug)]
pub struct SpelledTargeted<T: ?Sized + SpelledTarget>(PhantomData<fn() -> Box<T>>);

/// A value whose codec is checked where this is named.
#[derive(Debug)]
pub struct Encoded<V: EncodedBy<C>, C>(PhantomData<fn() -> (V, C)>);

/// A builder that knows remote tiers.
#[cfg(feature = "redis")]
#[doc(hidden)]
#[macro_export]
macro_rules! __redis {
    ($($builder:tt)*) => { $($builder)* };
}

/// That there is none.
#[cfg(not(feature = "redis"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __redis {
    ($($builder:tt)*) => {
        ::core::compile_error!("remote tiers need the feature `redis` of hybridcache: add it to `features` in Cargo.toml, or use `tier = memory`")
    };
}

/// A codec: its value, and with `type` its type. What is missing is told where the value stands, once.
macro_rules! codec {
    ($dollar:tt $exported:ident $feature:literal $codec:ident) => {
        #[cfg(all(feature = "redis", feature = $feature))]
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $exported {($dollar(type)?) => { $dollar crate::codec::$codec }}

        #[cfg(not(all(feature = "redis", feature = $feature)))]
        missing!($dollar $exported "codec" $feature);
    };
}

/// A compressor, with the threshold that was written.
macro_rules! compressor {
    ($dollar:tt $exported:ident $feature:literal $algorithm:ident) => {
        #[cfg(feature = $feature)]
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $exported {
            () => { $dollar crate::codec::Compression::$algorithm() };
            ($dollar min:expr) => { $dollar crate::codec::Compression::$algorithm().min($dollar min) };
        }

        #[cfg(not(feature = $feature))]
        missing!($dollar $exported "compress" $feature);
    };
}

/// What stands for either without its feature.
#[allow(unused_macros, reason = "with all features nothing is missing")]
#[rustfmt::skip] // It moves the inner macro to the right each time it runs.
macro_rules! missing {
    ($dollar:tt $exported:ident $option:literal $feature:literal) => {
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $exported {
            (type) => { $dollar crate::__private::Missing };
            ($dollar($dollar threshold:expr)?) => {
                ::core::compile_error!(::core::concat!(
                    "`", $option, " = ", $feature, "` needs the feature `", $feature,
                    "` of hybridcache: add it to `features` in Cargo.toml"
                ))
            };
        }
    };
}

codec!($ __msgpack "msgpack" MsgPack);
codec!($ __json "json" Json);
codec!($ __bincode "bincode" Bincode);
codec!($ __postcard "postcard" Postcard);
codec!($ __protobuf "protobuf" Protobuf);
compressor!($ __lz4 "lz4" lz4);
compressor!($ __zstd "zstd" zstd);

/// ```compile_fail
/// #[hybridcache::cached(ttl = "60s", tier = hybrid)]
/// fn user(id: u64) -> u64 { id }
/// ```
#[cfg(all(doctest, feature = "macros", not(feature = "redis")))]
struct NeedsRedis;
