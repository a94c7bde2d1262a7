//! The companions of a method: functions beside it, on the same type.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::Signature;
use syn::ext::IdentExt as _;

use super::generics;
use super::key::{Borrowed, Side, borrowed, names, parameters};
use super::site::{self, Types, given};
use super::wrapper::{allowed, conditions, hidden, lints, places_in_docs};
use crate::mention::mentions;
use crate::model::Cached;
use crate::model::store::Store;

pub(crate) fn companions(model: &Cached<'_>, base: &Ident) -> TokenStream {
    let name = base.unraw();
    let (cache_name, key_name) =
        (format_ident!("{name}_cache", span = base.span()), format_ident!("{name}_key", span = base.span()));
    let cache = cache(model, base, &cache_name);
    let key = key(model, &key_name);
    let for_attributes = model.function.receiver().map(|_| for_attributes(model, base, &cache_name, &key_name));
    let uncached = model.ahead.then(|| uncached(model, base));
    let lenient = lenient(model);
    quote!(#lenient #cache #lenient #key #for_attributes #uncached)
}

/// The hidden function that finds the store. It stands before the method, so that its clause is what rustc reports
/// first.
pub(crate) fn accessor(model: &Cached<'_>, base: &Ident) -> Option<TokenStream> {
    let Store::Own { .. } = model.store else {
        return None;
    };
    let (lenient, accessor) = (lenient(model), site::accessor(model, &hidden(base, "site")));
    Some(quote!(#lenient #accessor))
}

/// What every generated item of a method begins with.
fn lenient(model: &Cached<'_>) -> TokenStream {
    let (cfg, allowed) = (conditions(model.function), allowed(model.function));
    quote! {
        #(#cfg)*
        #(#allowed)*
        #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    }
}

/// `&self` where the cache is found through it.
fn cache_receiver(model: &Cached<'_>) -> Option<TokenStream> {
    match &model.store {
        Store::Given(cache) => mentions(&cache.to_token_stream(), &format_ident!("self")).then(|| receiver(model)),
        Store::Own { .. } => None,
    }
}

fn key_receiver(model: &Cached<'_>) -> Option<TokenStream> {
    model.key.uses_self.then(|| receiver(model))
}

/// The `self` of the method, which is the one that its expressions see.
fn receiver(model: &Cached<'_>) -> TokenStream {
    let this = model.function.receiver().map(|receiver| receiver.self_token).unwrap_or_default();
    quote!(&#this)
}

fn cache(model: &Cached<'_>, base: &Ident, name: &Ident) -> TokenStream {
    let (root, vis) = (model.krate.root(), &model.function.vis);
    let Types { key, value } = Types::of(model);
    let lasting = generics::lasting(&model.function.sig.generics);
    let (clause, turbofish) = (&lasting.where_clause, generics::turbofish(&lasting));
    let receiver = cache_receiver(model);
    let found = match &model.store {
        Store::Given(cache) => given(model, cache),
        Store::Own { .. } => {
            let site = hidden(base, "site");
            quote!(Self::#site #turbofish ().to_cache())
        }
    };
    let docs = format!("The cache of `{}()`.", model.function.sig.ident.unraw());
    let places = places_in_docs(model.function);
    quote! {
        #[doc = #docs]
        #(#places)*
        #vis fn #name #lasting (#receiver) -> #root::Cache<#key, #value> #clause {
            #found
        }
    }
}

fn key(model: &Cached<'_>, name: &Ident) -> TokenStream {
    let (root, vis) = (model.krate.root(), &model.function.vis);
    let key = Types::of(model).key;
    let generics = &model.function.sig.generics;
    let clause = &generics.where_clause;
    let parameters = key_receiver(model).into_iter().chain(parameters(model));
    let Borrowed { lets, expr } = borrowed(model, Side::Verb);
    let docs = format!("The key of `{}()` for these arguments.", model.function.sig.ident.unraw());
    let places = places_in_docs(model.function);
    quote! {
        #[doc = #docs]
        #(#places)*
        #vis fn #name #generics (#(#parameters),*) -> #key #clause {
            #lets
            #root::Key::to_owned_key(&#expr)
        }
    }
}

/// What `self.method(…)` in another attribute calls: always through `self`, as that attribute cannot know whether it is needed.
fn for_attributes(model: &Cached<'_>, base: &Ident, cache_name: &Ident, key_name: &Ident) -> TokenStream {
    let (root, vis) = (model.krate.root(), &model.function.vis);
    let Types { key, value } = Types::of(model);
    let generics = &model.function.sig.generics;
    let lasting = generics::lasting(generics);
    let (clause, lasting_clause) = (&generics.where_clause, &lasting.where_clause);
    let turbofish = generics::turbofish(generics);
    let (hidden_cache, hidden_key) = (hidden(base, "cache"), hidden(base, "key"));
    let (parameters, names) = (parameters(model), names(model));
    let on = |needs_self: bool| {
        if needs_self { quote!(self.) } else { quote!(Self::) }
    };
    let (cache_on, key_on) = (on(cache_receiver(model).is_some()), on(key_receiver(model).is_some()));
    let lenient = lenient(model);
    quote! {
        #lenient
        #[doc(hidden)]
        #vis fn #hidden_cache #lasting (&self) -> #root::Cache<#key, #value> #lasting_clause {
            #cache_on #cache_name #turbofish ()
        }
        #lenient
        #[doc(hidden)]
        #vis fn #hidden_key #generics (&self, #(#parameters),*) -> #key #clause {
            #key_on #key_name #turbofish (#(#names),*)
        }
    }
}

/// The body, where it is called both by the method and behind its back.
fn uncached(model: &Cached<'_>, base: &Ident) -> TokenStream {
    let (cfg, body) = (conditions(model.function), &model.function.body);
    let lints = lints(model.function);
    let sig = Signature { ident: hidden(base, "uncached"), ..model.function.sig.clone() };
    quote! {
        #(#cfg)*
        #[doc(hidden)]
        #(#lints)*
        #sig #body
    }
}
