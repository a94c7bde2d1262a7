//! The user's body where it stands inside the wrapper.

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{ReturnType, Token, Type};

use super::wrapper::tolerant;
use crate::function::{Flow, Function};
use crate::mention::mentions;
use crate::model::Crate;
use crate::model::shape::unnamed;

/// Runs the body when called, once: `move || …`, which gives a future unless the function blocks.
pub(crate) fn closure(function: &Function, flow: Flow, output: &Type) -> TokenStream {
    let bindings = bindings(function);
    match flow {
        Flow::Async => {
            let edge = return_edge(output);
            let body = block(function, quote!(#edge #bindings));
            quote!(move || async move #body)
        }
        // What `#[async_trait]` made is an expression that ends in the boxed future. Others may return several, which only
        // have their type in common.
        Flow::Boxed | Flow::Unboxed => {
            let (output, body) = (annotation(function, flow), block(function, bindings));
            quote!(move || #output #body)
        }
        Flow::Blocking => {
            let body = block(function, bindings);
            quote!(move || -> #output #body)
        }
    }
}

/// Runs the body in place, and keeps a `return` in it from leaving the function. What is named `after` it is lent to it.
pub(crate) fn in_place(
    function: &Function,
    flow: Flow,
    output: &Type,
    krate: &Crate,
    after: &TokenStream,
) -> TokenStream {
    let private = krate.private();
    let (moves, mut begin) = hold(function, after);
    match flow {
        Flow::Async => {
            begin.extend(return_edge(output));
            let body = block(function, begin);
            quote!(async #moves #body.await)
        }
        // What the future needs that the body returns, it has.
        Flow::Boxed | Flow::Unboxed => {
            let (output, body) = (annotation(function, flow), &function.body);
            quote!(#private::once(move || #output #body)().await)
        }
        Flow::Blocking => {
            let output = unnamed(output).is_none().then(|| quote!(-> #output));
            let body = block(function, begin);
            quote!(#private::once(#moves || #output #body)())
        }
    }
}

/// How the body gets what the function was given: all of it, unless some is named after the body and so can only be lent. The rest
/// ends with the body even then, as a statement says that never runs.
fn hold(function: &Function, after: &TokenStream) -> (Option<Token![move]>, TokenStream) {
    let (lent, owned): (Vec<_>, Vec<_>) = function.exclusive().partition(|name| mentions(after, name));
    match (lent.is_empty(), owned.is_empty()) {
        (true, _) => (Some(<Token![move]>::default()), TokenStream::new()),
        (false, true) => (None, TokenStream::new()),
        (false, false) => {
            let owned = quote! {
                #[allow(clippy::all, clippy::pedantic, clippy::nursery)]
                if false {
                    let __hc_owned = (#(#owned,)*);
                    loop {}
                }
            };
            (None, owned)
        }
    }
}

/// The block of a function with these statements, which end in what a call ends up with.
pub(crate) fn around(flow: Flow, statements: &TokenStream) -> TokenStream {
    match flow {
        Flow::Boxed => quote!({ ::std::boxed::Box::pin(async move { #statements }) }),
        Flow::Unboxed => quote!({ async move { #statements } }),
        Flow::Async | Flow::Blocking => quote!({ #statements }),
    }
}

/// `-> Pin<Box<…>>`. What is `impl Future` cannot be named.
fn annotation(function: &Function, flow: Flow) -> Option<&ReturnType> {
    (flow == Flow::Boxed).then_some(&function.sig.output)
}

/// The user's block, begun with something else. The braces stay his: a block inside the block would be reported as unnecessary.
fn block(function: &Function, mut statements: TokenStream) -> Group {
    statements.extend(function.body.stream());
    let mut block = Group::new(Delimiter::Brace, statements);
    block.set_span(function.body.span());
    block
}

/// The wrapper took plain names: the body gets the patterns and the `mut`s that it was written with.
fn bindings(function: &Function) -> TokenStream {
    let patterns = function.arguments.iter().filter(|argument| !argument.is_plain());
    patterns
        .map(|argument| {
            let (pat, name, attrs) = (&argument.pat, &argument.name, argument.attrs.iter().map(tolerant));
            quote!(#(#attrs)* let #pat = #name;)
        })
        .collect()
}

/// Tells rustc the type of an async block that has no annotation. Never runs; without it a wrong type in the body is reported at
/// the attribute instead of at the expression.
fn return_edge(output: &Type) -> TokenStream {
    if unnamed(output).is_some() {
        return TokenStream::new();
    }
    quote_spanned! {output.span()=>
        #[allow(unknown_lints, unreachable_code, clippy::diverging_sub_expression, clippy::empty_loop, clippy::let_unit_value, clippy::needless_return)]
        if false {
            let __hc_fake: #output = loop {};
            return __hc_fake;
        }
    }
}
