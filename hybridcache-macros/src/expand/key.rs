//! The key as an expression: in the wrapper from the arguments, in a verb from references to them.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Expr;

use crate::function::Argument;
use crate::mention::mentions;
use crate::model::Cached;
use crate::model::key::{Part, Passed, tuple};
use crate::model::shape::Place;

/// Who computes the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Has the arguments as the function takes them.
    Wrapper,
    /// Has references to them.
    Verb,
}

/// The borrowed form of a key, and what has to be computed for it.
pub(crate) struct Borrowed {
    pub(crate) lets: TokenStream,
    pub(crate) expr: TokenStream,
}

pub(crate) fn borrowed(model: &Cached<'_>, side: Side) -> Borrowed {
    let mut lets = TokenStream::new();
    let parts = model.key.parts.iter().map(|part| match part {
        Part::Argument { index, shape } => {
            let argument = &model.function.arguments[*index];
            let name = &argument.name;
            match (side, Passed::of(&argument.ty)) {
                (Side::Wrapper, _) | (Side::Verb, Passed::AsIs) => shape.borrow(Place::Value(quote!(#name))),
                (Side::Verb, Passed::ByReference) => shape.borrow(Place::Behind(quote!(#name))),
                (Side::Verb, Passed::Target(_)) => quote!(#name),
            }
        }
        Part::Computed { binding, ty, expr, mentioned } => {
            let shadows: Vec<_> =
                mentioned.iter().filter_map(|index| shadow(&model.function.arguments[*index], side)).collect();
            // A block on both sides: then what is wrong with the expression is the same mistake to rustc, and is
            // reported once.
            lets.extend(quote!(let #binding: #ty = { #(#shadows)* #expr };));
            quote!(&#binding)
        }
    });
    let expr = tuple(parts.collect());
    Borrowed { lets, expr }
}

/// Makes an argument a reference for a key expression, so that the same expression serves wrapper and verbs.
fn shadow(argument: &Argument, side: Side) -> Option<TokenStream> {
    let Argument { name, pat, ty, .. } = argument;
    let reference = match (side, Passed::of(ty)) {
        (Side::Verb, _) | (Side::Wrapper, Passed::AsIs) if argument.is_named() => return None,
        (Side::Verb, _) | (Side::Wrapper, Passed::AsIs) => quote!(#name),
        (Side::Wrapper, Passed::Target(_)) => quote!(&*#name),
        (Side::Wrapper, Passed::ByReference) => quote!(&#name),
    };
    // A mention may be the parameter of a closure with the same name: then this stays unused.
    Some(match argument.is_named() {
        true => quote!(#[allow(unused_variables)] let #name = #reference;),
        false => {
            let pat = without_modes(pat.to_token_stream());
            quote!(#[allow(unused_variables)] let #pat = #reference;)
        }
    })
}

/// A pattern that takes a reference apart binds references, whatever it says.
fn without_modes(pat: TokenStream) -> TokenStream {
    let plain = |token| match token {
        TokenTree::Ident(mode) if mode == "mut" || mode == "ref" => None,
        TokenTree::Group(group) => {
            let mut plain = Group::new(group.delimiter(), without_modes(group.stream()));
            plain.set_span(group.span());
            Some(plain.into())
        }
        other => Some(other),
    };
    pat.into_iter().filter_map(plain).collect()
}

/// What an expression in the wrapper needs that names what a pattern binds: the wrapper has the argument whole.
pub(crate) fn unpacked(model: &Cached<'_>, expr: &Expr) -> TokenStream {
    let tokens = expr.to_token_stream();
    let patterns = model.function.arguments.iter().filter(|argument| !argument.is_named());
    let mentioned = patterns.filter(|argument| argument.names.iter().any(|name| mentions(&tokens, name)));
    mentioned.filter_map(|argument| shadow(argument, Side::Wrapper)).collect()
}

/// The parameters of a verb: what the key mentions, in the order of the signature.
pub(crate) fn parameters(model: &Cached<'_>) -> Vec<TokenStream> {
    let parameter = |argument: &Argument| {
        let Argument { name, ty, .. } = argument;
        match Passed::of(ty) {
            Passed::AsIs => quote!(#name: #ty),
            Passed::Target(target) => quote!(#name: &#target),
            Passed::ByReference => quote!(#name: &#ty),
        }
    };
    mentioned(model).map(parameter).collect()
}

/// The names of these parameters.
pub(crate) fn names<'a>(model: &'a Cached<'_>) -> Vec<&'a Ident> {
    mentioned(model).map(|argument| &argument.name).collect()
}

fn mentioned<'a>(model: &'a Cached<'_>) -> impl Iterator<Item = &'a Argument> {
    model.key.arguments.iter().map(|index| &model.function.arguments[*index])
}
