//! Questions to the type checker about types that the macro cannot see.
//!
//! They are asked by method lookup: an implementation for `&&Probe<T>` is found before one for `&Probe<T>`, that before
//! one for `Probe<T>`, and those whose bounds do not hold are passed over. So a call on `&&&Probe` picks the first that
//! fits, for the concrete type an alias stands for. In generic code it picks what holds for every type.
//!
//! The traits have to be in scope where a question is asked. The macros below see to that after the user's types are
//! resolved, for a user may call one of them `Text`.

use std::fmt::Display;
use std::hash::Hash;
use std::io;
use std::marker::PhantomData;

use crate::returned::{Share, SharedError};

/// How can an error of type `E` be shared?
#[derive(Debug)]
pub struct ShareProbe<E>(PhantomData<fn() -> E>);

impl<E> ShareProbe<E> {
    /// The question.
    pub const NEW: Self = Self(PhantomData);
}

/// Is `R` a `Result` or an `Option`?
#[derive(Debug)]
pub struct KindProbe<R>(PhantomData<fn() -> R>);

impl<R> KindProbe<R> {
    /// The question.
    pub const NEW: Self = Self(PhantomData);
}

/// Did a function succeed, and with what?
#[derive(Debug)]
pub struct PayloadProbe<'r, R>(pub &'r R);

/// A return type that is neither a `Result` nor an `Option`.
#[derive(Debug)]
pub struct IsPlain;

/// A return type that is a `Result`, or an `Option`.
#[derive(Debug)]
pub struct IsResultOrOption;

/// What `assert_plain` accepts.
#[diagnostic::on_unimplemented(
    message = "this return type is an alias of a `Result` or an `Option`, which the attribute cannot see",
    label = "what should be cached?",
    note = "say `returns = result` or `returns = option` to cache what is inside",
    note = "or `value = Type` to name it, or `returns = plain` to cache the whole"
)]
pub trait Plain {}

#[diagnostic::do_not_recommend]
impl Plain for IsPlain {}

/// Fails to compile for an answer that is not plain.
pub const fn assert_plain<K: Plain>(kind: K) {
    std::mem::forget(kind);
}

/// A type that is a `Result`, perhaps by another name.
#[diagnostic::on_unimplemented(
    message = "this return type is taken for a `Result`, and `{Self}` is none",
    label = "this is not a `Result`",
    note = "say `returns = plain` to keep the whole of it, or name what is kept with `value = Type`"
)]
pub trait ResultLike {
    /// What is in its `Ok`.
    type Ok;
}

#[diagnostic::do_not_recommend]
impl<T, E> ResultLike for Result<T, E> {
    type Ok = T;
}

/// A type that is an `Option`, perhaps by another name.
#[diagnostic::on_unimplemented(
    message = "this return type is taken for an `Option`, and `{Self}` is none",
    label = "this is not an `Option`",
    note = "say `returns = plain` to keep the whole of it, or name what is kept with `value = Type`"
)]
pub trait OptionLike {
    /// What is in its `Some`.
    type Some;
}

#[diagnostic::do_not_recommend]
impl<T> OptionLike for Option<T> {
    type Some = T;
}

/// A result that is there when the function returns.
#[diagnostic::on_unimplemented(
    message = "this function returns a future that the attribute does not see, and has done nothing yet when it returns",
    label = "`{Self}` is a future",
    note = "make it an `async fn`, or spell the return type `impl Future<Output = …>` or `Pin<Box<dyn Future<Output = …>>>`"
)]
pub trait Done {}

/// A type that can be part of a key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "this argument is part of the key",
    note = "a part of a key is `Clone + Hash + Eq + Send + Sync + 'static`: derive what is missing",
    note = "or leave the argument out with `skip(argument)`, or choose the key with `key(..)`"
)]
pub trait KeyPart: Clone + Hash + Eq + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<K: Clone + Hash + Eq + Send + Sync + 'static> KeyPart for K {}

/// Fails to compile, at the argument, for a type that cannot be part of a key. The answer is the length of an array,
/// because rustc looks at the types of items before it looks into bodies: so this is said before what follows from it.
#[must_use]
pub const fn assert_key<K: KeyPart>() -> usize {
    0
}

/// A type that can be kept.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "this value would be kept and handed to every caller",
    note = "a cached value is `Clone + Send + Sync + 'static`: derive `Clone`, or return an `Arc` (not an `Rc`) of it"
)]
pub trait CacheValue: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<V: Clone + Send + Sync + 'static> CacheValue for V {}

/// Fails to compile, at the return type, for a value that cannot be kept, as [`assert_key`] does.
#[must_use]
pub const fn assert_value<V: CacheValue>() -> usize {
    0
}

/// A type that is looked up by reference, and kept as what `ToOwned` makes of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "this argument is part of the key",
    note = "a part of a key is `Clone + Hash + Eq + Send + Sync + 'static`: derive what is missing",
    note = "or leave the argument out with `skip(argument)`, or choose the key with `key(..)`"
)]
pub trait KeyTarget {}

#[diagnostic::do_not_recommend]
impl<T: ?Sized + Hash + Eq + ToOwned<Owned: KeyPart>> KeyTarget for T {}

/// [`assert_key`] for the target of a reference.
#[must_use]
pub const fn assert_target<T: ?Sized + KeyTarget>() -> usize {
    0
}

/// [`Keyed`] for the target of a reference.
#[derive(Debug)]
pub struct Targeted<T: ?Sized + KeyTarget>(PhantomData<fn() -> Box<T>>);

/// A key whose type is checked where this is named: in the clause of a function that no array can stand beside.
#[derive(Debug)]
pub struct Keyed<K: KeyPart>(PhantomData<fn() -> K>);

/// A value whose type is checked where this is named.
#[derive(Debug)]
pub struct Valued<V: CacheValue>(PhantomData<fn() -> V>);

/// How the error of a return type is shared.
#[doc(hidden)]
#[macro_export]
macro_rules! __share {
    ($returned:ty, $value:ty) => {{
        let probe = &&&&$crate::__private::ShareProbe::<<$returned as $crate::__private::Returned<$value>>::Error>::NEW;
        {
            #[allow(unused_imports)]
            use $crate::__private::via::*;
            probe.share()
        }
    }};
}

/// What a function that succeeded returned.
#[doc(hidden)]
#[macro_export]
macro_rules! __payload {
    ($result:expr) => {{
        let probe = &&&$crate::__private::PayloadProbe($result);
        {
            #[allow(unused_imports)]
            use $crate::__private::via::*;
            probe.payload()
        }
    }};
}

/// Fails to compile for a return type that is a `Result` or an `Option` by another name.
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_plain {
    ($returned:ty) => {{
        let probe = &&$crate::__private::KindProbe::<$returned>::NEW;
        $crate::__private::assert_plain({
            #[allow(unused_imports)]
            use $crate::__private::via::*;
            probe.kind()
        })
    }};
}

pub use crate::{__assert_plain as assert_plain, __payload as payload, __share as share};

/// The answers.
pub mod via {
    use super::{
        Display, Done, IsPlain, IsResultOrOption, KindProbe, PayloadProbe, Share, ShareProbe, SharedError, io,
    };

    /// A clone for everybody.
    pub trait Cloned<E> {
        /// The answer.
        fn share(&self) -> Share<E>;
    }

    impl<E: Clone + Send + Sync + 'static> Cloned<E> for &&&ShareProbe<E> {
        fn share(&self) -> Share<E> {
            Share::cloned()
        }
    }

    /// The text for everybody.
    pub trait Text<E> {
        /// The answer.
        fn share(&self) -> Share<E>;
    }

    impl<E: Display + From<SharedError>> Text<E> for &&ShareProbe<E> {
        fn share(&self) -> Share<E> {
            Share::text()
        }
    }

    /// Kind and text for everybody.
    pub trait Io {
        /// The answer.
        fn share(&self) -> Share<io::Error>;
    }

    impl Io for &ShareProbe<io::Error> {
        fn share(&self) -> Share<io::Error> {
            Share::io()
        }
    }

    /// Nobody.
    pub trait Unshared<E> {
        /// The answer.
        fn share(&self) -> Share<E>;
    }

    impl<E> Unshared<E> for ShareProbe<E> {
        fn share(&self) -> Share<E> {
            Share::none()
        }
    }

    /// It is one or the other.
    pub trait Wrapped {
        /// The answer.
        fn kind(&self) -> IsResultOrOption;
    }

    impl<T, E> Wrapped for &KindProbe<Result<T, E>> {
        fn kind(&self) -> IsResultOrOption {
            IsResultOrOption
        }
    }

    impl<T> Wrapped for &KindProbe<Option<T>> {
        fn kind(&self) -> IsResultOrOption {
            IsResultOrOption
        }
    }

    /// It is neither, as far as can be said.
    pub trait Unwrapped {
        /// The answer.
        fn kind(&self) -> IsPlain;
    }

    impl<R> Unwrapped for KindProbe<R> {
        fn kind(&self) -> IsPlain {
            IsPlain
        }
    }

    /// Nobody knows yet: this does not compile.
    pub trait Pending<'r, R> {
        /// The answer.
        fn payload(&self) -> Option<&'r R>
        where
            R: Done;
    }

    impl<'r, R: Future> Pending<'r, R> for &&PayloadProbe<'r, R> {
        fn payload(&self) -> Option<&'r R>
        where
            R: Done,
        {
            Some(self.0)
        }
    }

    /// The inside of an `Ok` or a `Some`.
    pub trait Inside<'r> {
        /// What is inside.
        type Value;

        /// The answer.
        fn payload(&self) -> Option<&'r Self::Value>;
    }

    impl<'r, T, E> Inside<'r> for &PayloadProbe<'r, Result<T, E>> {
        type Value = T;

        fn payload(&self) -> Option<&'r T> {
            self.0.as_ref().ok()
        }
    }

    impl<'r, T> Inside<'r> for &PayloadProbe<'r, Option<T>> {
        type Value = T;

        fn payload(&self) -> Option<&'r T> {
            self.0.as_ref()
        }
    }

    /// The whole of a value that cannot say that it failed.
    pub trait Whole<'r, R> {
        /// The answer.
        fn payload(&self) -> Option<&'r R>;
    }

    impl<'r, R> Whole<'r, R> for PayloadProbe<'r, R> {
        fn payload(&self) -> Option<&'r R> {
            Some(self.0)
        }
    }
}
