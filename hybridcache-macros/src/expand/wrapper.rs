//! The function that stands where the user's stood: one key, one lookup, one load.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Attribute, FnArg, Meta, Signature};

use super::key::{Borrowed, Side, borrowed, unpacked};
use super::{behind, body, generics, site};
use crate::function::{Flow, Function};
use crate::model::shape::borrows;
use crate::model::store::Store;
use crate::model::{Cached, Companions, Share};

pub(crate) fn wrapper(model: &Cached<'_>) -> TokenStream {
    let function = model.function;
    let attrs = function.attrs.iter().map(tolerant);
    let (vis, sig) = (&function.vis, plain_signature(function));
    let block = body::around(model.flow, &statements(model));
    let hands_on = hands_on(model).then(|| quote!(#[allow(clippy::used_underscore_binding)]));
    quote!(#(#attrs)* #hands_on #vis #sig #block)
}

/// Whether the wrapper itself uses an argument that the user marked as unused.
fn hands_on(model: &Cached<'_>) -> bool {
    model.function.arguments.iter().any(|argument| argument.name.to_string().starts_with('_'))
}

/// Whether the body stands in a function of its own, which can be called more than once.
fn calls_body(model: &Cached<'_>) -> bool {
    match model.companions {
        Companions::Struct(_) => true,
        Companions::Functions(_) => model.ahead,
        Companions::Nothing => false,
    }
}

fn statements(model: &Cached<'_>) -> TokenStream {
    let private = model.krate.private();
    let (before, cache) = cache(model);
    let Borrowed { lets, expr: key } = borrowed(model, Side::Wrapper);
    let lookup = match model.ahead {
        true => quote!(#cache.__lookup_ahead(#key, __hc_share)),
        false => quote!(#cache.__lookup(#key, || ())),
    };
    let share = share(model);
    let run = if calls_body(model) { body_call(model) } else { TokenStream::new() };
    let closure = match calls_body(model) {
        true => quote!(move || #run),
        false => body::closure(model.function, model.flow, &model.returns.output),
    };
    let wait = wait(model.flow);
    let load = load(model.flow);

    let when = model.when.as_ref().map(|when| {
        let unpacked = unpacked(model, when);
        if unpacked.is_empty() { when.to_token_stream() } else { quote!({ #unpacked #when }) }
    });

    if let (Some(when), false) = (&when, calls_body(model)) {
        // The body stands here once, so both ways to it meet again.
        let bypassed = boxed(model.flow, quote!(__hc_load()));
        return quote! {
            #before
            let __hc_when: bool = #when;
            #lets
            let __hc_lookup = if __hc_when {
                ::core::option::Option::Some(#lookup)
            } else {
                #cache.__bypassed();
                ::core::option::Option::None
            };
            let __hc_result = match __hc_lookup {
                ::core::option::Option::Some(#private::Lookup::Hit(__hc_hit)) => __hc_hit,
                __hc_other => {
                    let __hc_load = #private::once(#closure);
                    match __hc_other {
                        ::core::option::Option::Some(#private::Lookup::Miss(__hc_miss)) => {
                            let __hc_share = #share;
                            __hc_miss.#load(__hc_share, __hc_load)#wait
                        }
                        _ => #bypassed,
                    }
                }
            };
            __hc_result
        };
    }

    let bypass = when.map(|when| {
        let bypassed = boxed(model.flow, run);
        quote! {
            let __hc_when: bool = #when;
            if !__hc_when {
                #cache.__bypassed();
                return #bypassed;
            }
        }
    });
    let arms = match model.ahead {
        false => quote! {
            #private::Lookup::Hit(__hc_hit) => __hc_hit,
            #private::Lookup::Miss(__hc_miss) => {
                let __hc_share = #share;
                __hc_miss.#load(__hc_share, #closure)#wait
            }
        },
        true => {
            let due = behind::due(model);
            quote! {
                #private::Ahead::Hit(__hc_hit) => __hc_hit,
                #private::Ahead::Due(__hc_hit, __hc_due) => { #due __hc_hit }
                #private::Ahead::Miss(__hc_miss) => __hc_miss.#load(__hc_share, #closure)#wait,
            }
        }
    };
    // A kept error is an answer whose reload may be due.
    let shared = model.ahead.then(|| quote!(let __hc_share = #share;));
    quote! {
        #before
        #bypass
        #lets
        #shared
        let __hc_result = match #lookup {
            #arms
        };
        __hc_result
    }
}

/// What has to be done to find the cache, and the expression for it.
fn cache(model: &Cached<'_>) -> (TokenStream, TokenStream) {
    let turbofish = generics::turbofish(&model.function.sig.generics);
    match (&model.companions, &model.store) {
        (Companions::Struct(name), Store::Own { .. }) => (TokenStream::new(), quote!(#name::__cache #turbofish())),
        (Companions::Functions(base), Store::Own { .. }) => {
            let site = hidden(base, "site");
            (quote!(let __hc_cache = Self::#site #turbofish();), quote!(__hc_cache))
        }
        (Companions::Nothing, _) | (_, Store::Given(_)) => (site::in_place(model), quote!(__hc_cache)),
    }
}

/// How the error of this load is shared.
pub(crate) fn share(model: &Cached<'_>) -> TokenStream {
    let (root, private) = (model.krate.root(), model.krate.private());
    let (output, value) = (&model.returns.output, &model.returns.value);
    let error = quote!(<#output as #private::Returned<#value>>::Error);
    match &model.share {
        // The value is not borrowed, so the error is: it cannot wait for others.
        Share::ByType if borrows(output) => quote!(#private::Share::<#error>::none()),
        Share::ByType => quote!(#root::__share!(#output, #value)),
        Share::With(share) => quote!(#private::Share::<#error>::with(#share)),
        Share::Cloned(option) => {
            let private = model.krate.private_at(option.span());
            quote_spanned!(option.span()=> #private::Share::<#error>::cloned())
        }
    }
}

/// A call of the body with the arguments of the wrapper.
pub(crate) fn body_call(model: &Cached<'_>) -> TokenStream {
    let receiver = model.function.receiver().map(|receiver| receiver.self_token.to_token_stream());
    let arguments = model.function.arguments.iter().map(|argument| argument.name.to_token_stream());
    body_called_with(model, receiver.into_iter().chain(arguments))
}

/// A call of the body. It may be deprecated, as the function is, and whoever called that has been told.
pub(crate) fn body_called_with(model: &Cached<'_>, arguments: impl IntoIterator<Item = TokenStream>) -> TokenStream {
    let (path, arguments) = (body_path(model), arguments.into_iter());
    let call = quote!(#path(#(#arguments),*));
    match deprecation(model.function) {
        Some(_) => quote!({ #[allow(deprecated)] let __hc_called = #call; __hc_called }),
        None => call,
    }
}

/// The function that holds the body.
fn body_path(model: &Cached<'_>) -> TokenStream {
    let turbofish = generics::turbofish(&model.function.sig.generics);
    match &model.companions {
        Companions::Struct(name) => quote!(#name::uncached #turbofish),
        Companions::Functions(base) => {
            let uncached = hidden(base, "uncached");
            quote!(Self::#uncached #turbofish)
        }
        Companions::Nothing => TokenStream::new(),
    }
}

/// The name of a hidden companion of a method.
pub(crate) fn hidden(base: &Ident, what: &str) -> Ident {
    format_ident!("__hc_{}_{what}", base.unraw())
}

pub(crate) fn wait(flow: Flow) -> TokenStream {
    if flow.waits() { quote!(.await) } else { TokenStream::new() }
}

/// The body past the cache: in a box as on a miss, so that an `async fn` may call itself whatever `when` says.
fn boxed(flow: Flow, run: TokenStream) -> TokenStream {
    if flow.waits() { quote!(::std::boxed::Box::pin(#run).await) } else { run }
}

pub(crate) fn load(flow: Flow) -> Ident {
    format_ident!("{}", if flow.waits() { "load" } else { "load_blocking" })
}

/// The signature with a name for each argument instead of its pattern.
pub(crate) fn plain_signature(function: &Function) -> Signature {
    let mut sig = function.sig.clone();
    let typed = sig.inputs.iter_mut().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    for (typed, argument) in typed.zip(&function.arguments) {
        let name = &argument.name;
        typed.pat = syn::parse_quote!(#name);
        typed.attrs = argument.attrs.iter().map(tolerant).collect();
    }
    sig
}

/// Of what one function becomes, an expected lint fires in one place, and it depends on the lint in which: it is allowed in all.
pub(crate) fn tolerant(attr: &Attribute) -> Attribute {
    let mut attr = attr.clone();
    if let Meta::List(list) = &mut attr.meta
        && list.path.is_ident("expect")
    {
        list.path = syn::parse_quote!(allow);
    }
    attr
}

/// The attributes that belong to the body: what it says about lints.
pub(crate) fn lints(function: &Function) -> impl Iterator<Item = Attribute> {
    let lints = ["allow", "expect", "warn", "deny", "forbid"];
    let about_lints = function.attrs.iter().filter(move |attr| lints.iter().any(|lint| attr.path().is_ident(lint)));
    about_lints.map(tolerant)
}

/// What is allowed to the function, and so to what names its arguments and types beside it.
pub(crate) fn allowed(function: &Function) -> Vec<Attribute> {
    lints(function).filter(|attr| attr.path().is_ident("allow")).collect()
}

/// The conditions under which the function exists.
pub(crate) fn conditions(function: &Function) -> Vec<&Attribute> {
    named(function, "cfg").collect()
}

/// What is said to those who call the function, in whatever way.
pub(crate) fn deprecation(function: &Function) -> Option<&Attribute> {
    named(function, "deprecated").next()
}

/// Where the documentation is to show the function, and so its companions: `#[doc(hidden)]`, `#[doc(cfg(…))]`.
pub(crate) fn places_in_docs(function: &Function) -> impl Iterator<Item = &Attribute> {
    named(function, "doc").filter(|attr| match &attr.meta {
        Meta::List(list) => {
            list.tokens.clone().into_iter().next().is_some_and(|word| ["hidden", "cfg"].contains(&&*word.to_string()))
        }
        _ => false,
    })
}

pub(crate) fn named<'a>(function: &'a Function, name: &str) -> impl Iterator<Item = &'a Attribute> {
    function.attrs.iter().filter(move |attr| attr.path().is_ident(name))
}
