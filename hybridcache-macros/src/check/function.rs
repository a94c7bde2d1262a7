//! Rules about the function alone.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::{Receiver, ReceiverKind, Safety, Type};

use crate::errors::Errors;
use crate::function::Function;
use crate::model::shape::{spelled, unnamed};

/// What `#[cached]` asks of a function.
pub(crate) fn cacheable(function: &Function, errors: &Errors) {
    not_const(function, errors);
    not_unsafe(function, errors);
    not_extern(function, errors);
    not_variadic(function, errors);
    arguments_have_types(function, errors);
    arguments_are_unconditional(function, errors);
    receiver_is_not_changed(function, errors);
}

/// What `#[cache_evict]` and `#[cache_put]` ask of a function: it may change whatever it likes.
pub(crate) fn wrappable(function: &Function, errors: &Errors) {
    not_const(function, errors);
    not_variadic(function, errors);
}

fn not_const(function: &Function, errors: &Errors) {
    if let Some(token) = function.sig.constness {
        errors.at(token.span, "a `const fn` cannot reach a cache: remove `const`, or remove the attribute");
    }
}

fn not_unsafe(function: &Function, errors: &Errors) {
    if let Safety::Unsafe(token) = function.sig.safety {
        let message = "a cached function is called through companions that cannot pass its safety contract on: put the attribute on a safe function around it";
        errors.at(token.span, message);
    }
}

fn not_extern(function: &Function, errors: &Errors) {
    if let Some(abi) = &function.sig.abi {
        errors.at(
            abi.span(),
            "an `extern` function cannot be cached: put the attribute on a Rust function that it calls",
        );
    }
}

fn not_variadic(function: &Function, errors: &Errors) {
    if let Some(variadic) = &function.sig.variadic {
        errors.at(
            variadic.dots.span(),
            "variadic arguments cannot be passed on: put the attribute on a function with named arguments",
        );
    }
}

fn arguments_have_types(function: &Function, errors: &Errors) {
    for argument in &function.arguments {
        if let Some(ty) = unnamed(&argument.ty) {
            let message = "an `impl Trait` argument hides which store a call uses: name the type with a generic parameter, as in `fn load<T: Load + 'static>(from: T)`";
            errors.at(ty.span(), message);
        }
    }
}

fn arguments_are_unconditional(function: &Function, errors: &Errors) {
    let attrs = function.arguments.iter().flat_map(|argument| &argument.attrs);
    for attr in attrs.filter(|attr| attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr")) {
        errors.at(
            attr.span(),
            "a conditional argument would make the key conditional: write one function for each condition",
        );
    }
}

fn receiver_is_not_changed(function: &Function, errors: &Errors) {
    if let Some(span) = function.receiver().and_then(mutable) {
        errors
            .at(span, "a cached method takes `&self`: a hit would leave out whatever the body changes in `&mut self`");
    }
}

fn mutable(receiver: &Receiver) -> Option<Span> {
    match &receiver.kind {
        ReceiverKind::Reference(_, _, token) => token.map(|token| token.span),
        ReceiverKind::Typed(_, ty) => match spelled(ty, "Pin").unwrap_or(ty) {
            Type::Reference(reference) => reference.mutability.map(|token| token.span),
            _ => None,
        },
        _ => None,
    }
}
