//! The handle of a free function: a struct of the same name with the verbs.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{ReturnType, Signature, Token};

use super::key::{Borrowed, Side, borrowed, parameters};
use super::site::{Types, accessor};
use super::wrapper::{
    allowed, body_call, conditions, deprecation, lints, load, named, places_in_docs, plain_signature, share, wait,
};
use super::{bounds, generics};
use crate::function::Flow;
use crate::model::Cached;

pub(crate) fn handle(model: &Cached<'_>, name: &Ident) -> TokenStream {
    let function = model.function;
    let (vis, cfg, allowed) = (&function.vis, conditions(function), allowed(function));
    let accessor = accessor(model, &format_ident!("__cache"));
    let verbs = verbs(model);
    let uncached = uncached(model);
    let (docs, places) = (docs(&function.sig.ident), places_in_docs(function));
    let granted = bounds::clause(model);
    quote! {
        #(#cfg)*
        #[doc = #docs]
        #(#places)*
        #[allow(non_camel_case_types, dead_code)]
        #[allow(missing_debug_implementations, missing_copy_implementations)]
        #vis struct #name {}
        #(#cfg)*
        #(#allowed)*
        #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
        impl #name #granted {
            #accessor
            #verbs
        }
        #(#cfg)*
        impl #name {
            #uncached
        }
    }
}

fn docs(function: &Ident) -> String {
    let name = function.unraw();
    // A raw identifier cannot be linked to.
    match *function == name {
        true => format!("The cache of [`{name}()`](fn@{name}): its functions take what forms the key, by reference."),
        false => {
            format!("The cache of `{name}()`: its functions take what forms the key, by reference.")
        }
    }
}

/// The verbs, in the order in which people look for them.
fn verbs(model: &Cached<'_>) -> TokenStream {
    let root = model.krate.root();
    let Types { key, value } = Types::of(model);
    let result = |ok: TokenStream| quote!(::core::result::Result<#ok, #root::Error>);
    let new = if model.key.arguments.iter().any(|index| model.function.arguments[*index].name == "value") {
        "__hc_value"
    } else {
        "value"
    };
    let new = format_ident!("{new}");
    let on_entry = [
        Verb {
            docs: "Removes the entry of these arguments.",
            name: "evict",
            takes: None,
            gives: result(quote!(#root::Evicted)),
            calls: "evict",
        },
        Verb {
            docs: "Stores a value for these arguments. The last arrival wins.",
            name: "put",
            takes: Some((&new, &value)),
            gives: result(quote!(())),
            calls: "insert",
        },
        Verb {
            docs: "Announces a write, to be finished with `put`: two writers at once leave the key absent, never old.",
            name: "write",
            takes: None,
            gives: result(quote!(#root::Write<#key, #value>)),
            calls: "write",
        },
        Verb {
            docs: "What is kept for these arguments. Never loads and never counts.",
            name: "peek",
            takes: None,
            gives: quote!(::core::option::Option<#value>),
            calls: "peek",
        },
    ];
    let on_entry = on_entry.iter().map(|verb| verb.tokens(model));
    let (refresh, clear) = (refresh(model), clear(model));
    let rest = without_arguments(model);
    quote!(#(#on_entry)* #refresh #clear #rest)
}

/// A verb on one entry.
struct Verb<'a> {
    docs: &'static str,
    name: &'static str,
    /// What it takes beside the arguments of the key.
    takes: Option<(&'a Ident, &'a TokenStream)>,
    gives: TokenStream,
    /// The method of the cache.
    calls: &'static str,
}

impl Verb<'_> {
    fn tokens(&self, model: &Cached<'_>) -> TokenStream {
        let Self { docs, gives, .. } = self;
        let (name, calls) = (format_ident!("{}", self.name), format_ident!("{}", self.calls));
        let mut parameters = parameters(model);
        parameters.extend(self.takes.map(|(name, ty)| quote!(#name: #ty)));
        let taken = self.takes.map(|(name, _)| quote!(, #name));
        let vis = &model.function.vis;
        let generics = bounds::of_verb(model);
        let (clause, cache) = (&generics.where_clause, cache(model));
        let (asyncness, wait) = (asyncness(model.flow), wait(model.flow));
        let Borrowed { lets, expr } = borrowed(model, Side::Verb);
        let call = ending(&lets, quote!(#cache.#calls(#expr #taken)#wait));
        quote! {
            #[doc = #docs]
            #vis #asyncness fn #name #generics (#(#parameters),*) -> #gives #clause {
                #call
            }
        }
    }
}

/// A call at the end of a block. What it borrows from has to outlive its temporaries, which before edition 2024 outlive the block.
fn ending(lets: &TokenStream, call: TokenStream) -> TokenStream {
    if lets.is_empty() {
        return call;
    }
    quote! {
        #lets
        let __hc_result = #call;
        __hc_result
    }
}

/// The verbs of a plain `fn` are plain as well.
fn cache(model: &Cached<'_>) -> TokenStream {
    let turbofish = generics::turbofish(&model.function.sig.generics);
    match model.flow {
        Flow::Blocking => quote!(Self::__cache #turbofish ().blocking()),
        Flow::Async | Flow::Boxed | Flow::Unboxed => quote!(Self::__cache #turbofish ()),
    }
}

fn asyncness(flow: Flow) -> Option<Token![async]> {
    flow.waits().then(<Token![async]>::default)
}

/// Takes what the function takes, as the body runs.
fn refresh(model: &Cached<'_>) -> TokenStream {
    let vis = &model.function.vis;
    let mut sig = plain_signature(model.function);
    sig.generics = bounds::of_verb(model);
    sig.ident = format_ident!("refresh");
    sig.asyncness = asyncness(model.flow);
    let output = &model.returns.output;
    if !matches!(sig.output, ReturnType::Default) {
        sig.output = syn::parse_quote!(-> #output);
    }
    let turbofish = generics::turbofish(&sig.generics);
    let Borrowed { lets, expr } = borrowed(model, Side::Wrapper);
    let (share, call, load, wait) = (share(model), body_call(model), load(model.flow), wait(model.flow));
    let deprecated = deprecation(model.function);
    quote! {
        #[doc = "Runs the body now and replaces what is kept."]
        #deprecated
        #vis #sig {
            #lets
            let __hc_share = #share;
            let __hc_result = Self::__cache #turbofish ().__forced(#expr).#load(__hc_share, move || #call)#wait;
            __hc_result
        }
    }
}

fn clear(model: &Cached<'_>) -> TokenStream {
    let (root, vis) = (model.krate.root(), &model.function.vis);
    let lasting = generics::lasting(&bounds::of_verb(model));
    let (clause, cache) = (&lasting.where_clause, cache(model));
    let (asyncness, wait) = (asyncness(model.flow), wait(model.flow));
    quote! {
        #[doc = "Removes every entry."]
        #vis #asyncness fn clear #lasting () -> ::core::result::Result<#root::Evicted, #root::Error> #clause {
            #cache.clear()#wait
        }
    }
}

fn without_arguments(model: &Cached<'_>) -> TokenStream {
    let (root, vis) = (model.krate.root(), &model.function.vis);
    let Types { key, value } = Types::of(model);
    let generics = bounds::of_verb(model);
    let lasting = generics::lasting(&generics);
    let (clause, lasting_clause) = (&generics.where_clause, &lasting.where_clause);
    let turbofish = generics::turbofish(&generics);
    let parameters = parameters(model);
    let Borrowed { lets, expr } = borrowed(model, Side::Verb);
    quote! {
        #[doc = "What happened so far."]
        #vis fn stats #lasting () -> #root::Stats #lasting_clause {
            Self::__cache #turbofish ().stats()
        }
        #[doc = "The cache itself, for everything else."]
        #vis fn cache #lasting () -> #root::Cache<#key, #value> #lasting_clause {
            Self::__cache #turbofish ().to_cache()
        }
        #[doc = "The key of these arguments."]
        #vis fn key #generics (#(#parameters),*) -> #key #clause {
            #lets
            #root::Key::to_owned_key(&#expr)
        }
    }
}

/// The body itself. It stands in an impl of its own, so that what is allowed to generated code is not allowed to the user's.
fn uncached(model: &Cached<'_>) -> TokenStream {
    let (vis, body) = (&model.function.vis, &model.function.body);
    let lints = lints(model.function);
    let deprecated = deprecation(model.function);
    // Whether a result says so itself is between the user and clippy where the function stands.
    let must_use = named(model.function, "must_use").map(|attr| quote!(#attr #[allow(clippy::double_must_use)]));
    let sig = Signature { ident: format_ident!("uncached"), ..model.function.sig.clone() };
    quote! {
        #[doc = "The body itself, past the cache."]
        #deprecated
        #(#must_use)*
        #(#lints)*
        #[allow(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate, clippy::missing_const_for_fn)]
        #vis #sig #body
    }
}
