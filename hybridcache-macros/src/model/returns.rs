//! What of a return type is the cached value.

use proc_macro2::Ident;
use quote::{ToTokens, quote};
use syn::spanned::Spanned as _;
use syn::{GenericParam, ReturnType, Type, TypePath};

use super::Crate;
use super::shape::{borrows, is_std, peeled, spelled, unnamed};
use crate::args::cached::CachedArgs;
use crate::errors::Errors;
use crate::function::Function;
use crate::mention::has_word;

/// A return type and the value in it.
pub(crate) struct Returns {
    /// What a call gives.
    pub(crate) output: Type,
    /// What is kept of it.
    pub(crate) value: Type,
    pub(crate) kind: Kind,
    /// The kind was read off a spelling that an alias could hide behind: the compiler is asked as well.
    pub(crate) doubtful: bool,
}

/// How the value is wrapped, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Option,
    Result,
    ResultOption,
    /// `value = …` was said; the compiler knows the rest.
    Unknown,
}

impl Kind {
    /// Whether there can be a `None`.
    pub(crate) fn may_be_none(self) -> bool {
        matches!(self, Self::Option | Self::ResultOption | Self::Unknown)
    }

    /// Whether there can be an `Err`.
    pub(crate) fn may_fail(self) -> bool {
        matches!(self, Self::Result | Self::ResultOption | Self::Unknown)
    }
}

impl Returns {
    pub(crate) fn of(function: &Function, args: &CachedArgs, krate: &Crate, errors: &Errors) -> Option<Self> {
        let output = function.output();
        let said = args.returns.as_ref().map(|returns| returns.value.to_string());
        let (kind, value) = match (&args.value, said.as_deref()) {
            (Some(value), _) => (Kind::Unknown, value.value.clone()),
            (None, Some("plain")) => (Kind::Plain, output.clone()),
            (None, Some("result")) => {
                as_result(&output).unwrap_or_else(|| (Kind::Result, projected(&output, "ResultLike", "Ok", krate)))
            }
            (None, Some("option")) => {
                as_option(&output).unwrap_or_else(|| (Kind::Option, projected(&output, "OptionLike", "Some", krate)))
            }
            (None, _) => by_spelling(&output, krate),
        };
        let doubtful = kind == Kind::Plain
            && said.is_none()
            && !matches!(function.sig.output, ReturnType::Default)
            && !is_std(&output)
            && !depends_on_generics(&output, function);
        let kept = can_be_kept(&value, errors);
        let nameable = can_be_named(&output, errors);
        (kept && nameable).then_some(Self { output, value, kind, doubtful })
    }
}

fn by_spelling(output: &Type, krate: &Crate) -> (Kind, Type) {
    as_result(output).or_else(|| as_option(output)).unwrap_or_else(|| match last_name(output) {
        // `fmt::Result` and its like: the arguments are inside the alias.
        Some(name) if name == "Result" => (Kind::Result, projected(output, "ResultLike", "Ok", krate)),
        _ => (Kind::Plain, output.clone()),
    })
}

fn as_result(output: &Type) -> Option<(Kind, Type)> {
    let inner = spelled(output, "Result")?;
    Some(match spelled(inner, "Option") {
        Some(value) => (Kind::ResultOption, value.clone()),
        None => (Kind::Result, inner.clone()),
    })
}

fn as_option(output: &Type) -> Option<(Kind, Type)> {
    spelled(output, "Option").map(|value| (Kind::Option, value.clone()))
}

/// The value of an alias, by a trait of the runtime.
fn projected(output: &Type, of: &str, value: &str, krate: &Crate) -> Type {
    let private = krate.private();
    let (of, value) = (Ident::new(of, output.span()), Ident::new(value, output.span()));
    Type::Verbatim(quote!(<#output as #private::#of>::#value))
}

fn last_name(ty: &Type) -> Option<&Ident> {
    match peeled(ty) {
        Type::Path(TypePath { qself: None, path, .. }) => path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

/// In generic code a bare `T` is plain, whatever it is instantiated with.
fn depends_on_generics(output: &Type, function: &Function) -> bool {
    let tokens = output.to_token_stream();
    has_word(&tokens, "Self")
        || function.sig.generics.params.iter().any(|param| {
            let name = match param {
                GenericParam::Type(param) => &param.ident,
                GenericParam::Const(param) => &param.ident,
                GenericParam::Lifetime(param) => &param.lifetime.ident,
            };
            has_word(&tokens, &name.to_string())
        })
}

fn can_be_kept(value: &Type, errors: &Errors) -> bool {
    if matches!(peeled(value), Type::Never(_)) {
        errors.at(value.span(), "a function that never returns has nothing to keep: remove the attribute");
        return false;
    }
    if borrows(value) {
        let message = format!(
            "the value `{}` is borrowed, and an entry outlives the call: return an owned value, e.g. `String`, or `Arc<str>`, which hits clone at the price of a counter",
            spelling(value)
        );
        errors.at(value.span(), message);
        return false;
    }
    true
}

fn can_be_named(output: &Type, errors: &Errors) -> bool {
    if let Some(ty) = unnamed(output) {
        errors.at(ty.span(), "an `impl Trait` result has no type to keep it by: name the type, e.g. `Vec<Item>` instead of `impl Iterator<Item = Item>`");
        return false;
    }
    true
}

/// The type as a person writes it.
fn spelling(ty: &Type) -> String {
    ty.to_token_stream()
        .to_string()
        .replace("& ", "&")
        .replace(" <", "<")
        .replace("< ", "<")
        .replace(" >", ">")
        .replace(" ,", ",")
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use syn::parse_quote;

    use super::*;

    fn read(output: ReturnType, args: TokenStream) -> (Kind, String, bool) {
        let errors = Errors::new();
        let args = CachedArgs::parse(args, &errors);
        let function: Function = syn::parse2(quote!(fn f<T>() #output {})).unwrap();
        let returns = Returns::of(&function, &args, &Crate::of(None), &errors);
        errors.finish().unwrap();
        let returns = returns.unwrap();
        (returns.kind, spelling(&returns.value), returns.doubtful)
    }

    fn refused(output: ReturnType) -> String {
        let errors = Errors::new();
        let args = CachedArgs::parse(TokenStream::new(), &errors);
        let function: Function = syn::parse2(quote!(fn f<'a>() #output {})).unwrap();
        assert!(Returns::of(&function, &args, &Crate::of(None), &errors).is_none());
        errors.finish().unwrap_err().to_string()
    }

    #[test]
    fn the_kind_is_read_off_the_spelling() {
        let read = |output| read(output, TokenStream::new());
        assert_eq!(read(parse_quote!(-> User)), (Kind::Plain, "User".into(), true));
        assert_eq!(read(parse_quote!(-> u64)), (Kind::Plain, "u64".into(), false));
        assert_eq!(read(parse_quote!(-> Vec<T>)), (Kind::Plain, "Vec<T>".into(), false));
        assert_eq!(read(ReturnType::Default), (Kind::Plain, "()".into(), false));
        assert_eq!(read(parse_quote!(-> Option<User>)), (Kind::Option, "User".into(), false));
        assert_eq!(read(parse_quote!(-> io::Result<User>)), (Kind::Result, "User".into(), false));
        assert_eq!(read(parse_quote!(-> Result<Option<User>, E>)), (Kind::ResultOption, "User".into(), false));
        assert!(read(parse_quote!(-> fmt::Result)).1.contains("ResultLike"));
    }

    #[test]
    fn what_is_said_wins() {
        assert_eq!(read(parse_quote!(-> Answer), quote!(value = User)), (Kind::Unknown, "User".into(), false));
        assert_eq!(
            read(parse_quote!(-> Result<u8, E>), quote!(returns = plain)),
            (Kind::Plain, "Result<u8, E>".into(), false)
        );
        assert_eq!(read(parse_quote!(-> Result<u8, E>), quote!(returns = result)), (Kind::Result, "u8".into(), false));
        assert!(read(parse_quote!(-> Answer), quote!(returns = result)).1.contains("ResultLike"));
        assert!(read(parse_quote!(-> Maybe), quote!(returns = option)).1.contains("OptionLike"));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert!(refused(parse_quote!(-> &str)).contains("the value `&str` is borrowed"));
        assert!(refused(parse_quote!(-> Result<Page<'a>, E>)).contains("is borrowed"));
        assert!(refused(parse_quote!(-> !)).contains("never returns"));
        assert!(refused(parse_quote!(-> Option<impl Iterator<Item = u8>>)).contains("name the type"));
    }
}
