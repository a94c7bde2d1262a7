//! What a function returns, and which part of it is the value.

use std::any::Any;
use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::sync::Arc;

use crate::entry::{Failure, Kept};

/// A return type whose cached value is `V`: `V` itself, `Result<V, E>`, `Option<V>` or `Result<Option<V>, E>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not return a cached `{V}`",
    label = "expected `{V}`, `Result<{V}, _>`, `Option<{V}>` or `Result<Option<{V}>, _>`",
    note = "in `#[cached]`, `value = Type` names the value type, and `returns = result | option | plain` says how it is wrapped"
)]
pub trait Returned<V>: Sized {
    /// The error type; [`Infallible`] where there is none.
    type Error;

    #[doc(hidden)]
    fn split(self) -> Result<Option<V>, Self::Error>;

    /// Whether this is an error.
    #[doc(hidden)]
    fn failed(&self) -> bool {
        false
    }

    /// `None` where this type cannot say it: a plain `V` has no way to be absent.
    #[doc(hidden)]
    fn join(parts: Result<Option<V>, Self::Error>) -> Option<Self>;
}

impl<V> Returned<V> for V {
    type Error = Infallible;

    fn split(self) -> Result<Option<V>, Infallible> {
        Ok(Some(self))
    }

    #[inline]
    fn join(Ok(value): Result<Option<V>, Infallible>) -> Option<V> {
        value
    }
}

impl<V, E> Returned<V> for Result<V, E> {
    type Error = E;

    fn failed(&self) -> bool {
        self.is_err()
    }

    fn split(self) -> Result<Option<V>, E> {
        self.map(Some)
    }

    #[inline]
    fn join(parts: Result<Option<V>, E>) -> Option<Self> {
        parts.transpose()
    }
}

impl<V> Returned<V> for Option<V> {
    type Error = Infallible;

    fn split(self) -> Result<Option<V>, Infallible> {
        Ok(self)
    }

    #[inline]
    fn join(Ok(value): Result<Option<V>, Infallible>) -> Option<Self> {
        Some(value)
    }
}

impl<V, E> Returned<V> for Result<Option<V>, E> {
    type Error = E;

    fn failed(&self) -> bool {
        self.is_err()
    }

    fn split(self) -> Self {
        self
    }

    #[inline]
    fn join(parts: Self) -> Option<Self> {
        Some(parts)
    }
}

/// How the error of one failed load reaches everybody who waited for it.
///
/// Attributes choose it by the error type: [`cloned`](Self::cloned) if it is `Clone`, else [`text`](Self::text) if it
/// can be made [`From<SharedError>`](SharedError), [`io`](Share::io) for `io::Error`, else [`none`](Self::none).
pub struct Share<E>(How<E>);

enum How<E> {
    None,
    By { export: fn(&E) -> Failure, import: fn(&Failure) -> Option<E> },
    With { copy: fn(&E) -> E, export: fn(E) -> Failure, payload: fn(&Failure) -> Option<&E> },
}

impl<E> Clone for Share<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Share<E> {}

impl<E> Clone for How<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for How<E> {}

impl<E> std::fmt::Debug for Share<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            How::None => "Share::none",
            How::By { .. } => "Share::by",
            How::With { .. } => "Share::with",
        })
    }
}

impl<E> Share<E> {
    /// Not at all: those who waited run their own bodies, in waves that double in size (1, 2, 4, …), until one succeeds.
    #[must_use]
    pub const fn none() -> Self {
        Self(How::None)
    }

    /// Everybody gets a clone.
    #[must_use]
    pub fn cloned() -> Self
    where
        E: Clone + Send + Sync + 'static,
    {
        Self(How::By { export: |error| Failure::new(error.clone()), import: |failure| failure.payload::<E>().cloned() })
    }

    /// Everybody gets an error made from the first one's text.
    #[must_use]
    pub fn text() -> Self
    where
        E: Display + From<SharedError>,
    {
        Self(How::By {
            export: |error| Failure::new(SharedError(error.to_string().into())),
            import: |failure| failure.payload::<SharedError>().cloned().map(E::from),
        })
    }

    /// Everybody gets what `copy` makes of the first one's error.
    #[must_use]
    pub fn with(copy: fn(&E) -> E) -> Self
    where
        E: Send + Sync + 'static,
    {
        Self(How::With { copy, export: |error| Failure::new(error), payload: Failure::payload::<E> })
    }

    pub(crate) fn export(&self, error: &E) -> Option<Failure> {
        match self.0 {
            How::None => None,
            How::By { export, .. } => Some(export(error)),
            How::With { copy, export, .. } => Some(export(copy(error))),
        }
    }

    /// `None` for a failure that another error type was exported to.
    fn import(&self, failure: &Failure) -> Option<E> {
        match self.0 {
            How::None => None,
            How::By { import, .. } => import(failure),
            How::With { copy, payload, .. } => payload(failure).map(copy),
        }
    }
}

impl Share<io::Error> {
    /// Everybody gets an error of the same kind and text.
    #[must_use]
    pub fn io() -> Self {
        Self(How::By {
            export: |error| Failure::new((error.kind(), SharedError(error.to_string().into()))),
            import: |failure| {
                failure
                    .payload::<(io::ErrorKind, SharedError)>()
                    .cloned()
                    .map(|(kind, text)| io::Error::new(kind, text))
            },
        })
    }
}

/// The text of an error that one load met and every caller who waited for it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedError(Arc<str>);

impl Display for SharedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SharedError {}

impl<V> Kept<V> {
    /// What the caller of a function gets for what is kept. `None` if its return type cannot say it.
    #[inline]
    pub(crate) fn into_returned<R: Returned<V>>(self, share: &Share<R::Error>) -> Option<R> {
        match self {
            Self::Value(value) => R::join(Ok(Some(value))),
            Self::Nothing => R::join(Ok(None)),
            Self::Failed(failure) => R::join(Err(share.import(&failure)?)),
        }
    }
}

const fn _kept_is_shared_between_threads<V: Any + Send + Sync>() {
    const fn shared<T: Send + Sync>() {}
    shared::<Kept<V>>();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round<V: Clone, R: Returned<V>>(returned: R, share: Share<R::Error>) -> Option<R> {
        let kept = match returned.split() {
            Ok(Some(value)) => Kept::Value(value),
            Ok(None) => Kept::Nothing,
            Err(error) => Kept::Failed(share.export(&error)?),
        };
        kept.into_returned(&share)
    }

    #[test]
    fn each_kind_of_return_type_comes_back_as_it_was() {
        assert_eq!(round::<u8, u8>(7, Share::none()), Some(7));
        assert_eq!(round::<u8, Option<u8>>(None, Share::none()), Some(None));
        assert_eq!(round::<u8, Option<u8>>(Some(7), Share::none()), Some(Some(7)));
        assert_eq!(round::<u8, Result<u8, String>>(Err("no".into()), Share::cloned()), Some(Err("no".into())));
        assert_eq!(round::<u8, Result<Option<u8>, String>>(Ok(None), Share::cloned()), Some(Ok(None)));
        assert_eq!(round::<Option<u8>, Result<Option<u8>, String>>(Ok(None), Share::none()), Some(Ok(None)));
    }

    #[test]
    fn what_a_type_cannot_say_is_no_value_of_it() {
        assert_eq!(Kept::<u8>::Nothing.into_returned::<u8>(&Share::none()), None);
        assert_eq!(Kept::<u8>::Nothing.into_returned::<Result<u8, String>>(&Share::cloned()), None);
        let failed = Kept::<u8>::Failed(Failure::new("another type"));
        assert_eq!(failed.into_returned::<Result<u8, String>>(&Share::cloned()), None);
    }

    #[test]
    fn errors_without_clone_are_shared_by_text_kind_or_function() {
        let boxed: Result<u8, Box<dyn std::error::Error + Send + Sync>> = Err("gone".into());
        let copy = Share::<Box<dyn std::error::Error + Send + Sync>>::text();
        let failure = copy.export(boxed.as_ref().unwrap_err()).unwrap();
        assert_eq!(copy.import(&failure).unwrap().to_string(), "gone");

        let error = io::Error::new(io::ErrorKind::NotFound, "no such row");
        let failure = Share::io().export(&error).unwrap();
        let copy = Share::<io::Error>::io().import(&failure).unwrap();
        assert_eq!((copy.kind(), copy.to_string()), (io::ErrorKind::NotFound, "no such row".to_owned()));

        struct Odd(u8);
        let with = Share::<Odd>::with(|odd| Odd(odd.0 + 1));
        let failure = with.export(&Odd(1)).unwrap();
        assert_eq!(with.import(&failure).unwrap().0, 3, "copied out and in");
        assert!(Share::<Odd>::none().export(&Odd(1)).is_none());
    }
}
