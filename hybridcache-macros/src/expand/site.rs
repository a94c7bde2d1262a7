//! The one place of a function that knows its store.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, ReceiverKind, Type};

use super::key::unpacked;
use super::{bounds, generics};
use crate::function::Argument;
use crate::mention::mentions;
use crate::model::shape::peeled;
use crate::model::store::{Name, Setting, Store};
use crate::model::{Cached, Companions};

/// The types of a cache, spelled once.
pub(crate) struct Types {
    pub(crate) key: TokenStream,
    pub(crate) value: TokenStream,
}

impl Types {
    pub(crate) fn of(model: &Cached<'_>) -> Self {
        Self { key: model.key.owned(), value: model.returns.value.to_token_stream() }
    }
}

/// A hidden function that finds the store, for wrapper and companions alike: its closure is what tells instantiations apart.
pub(crate) fn accessor(model: &Cached<'_>, name: &Ident) -> TokenStream {
    let vis = &model.function.vis;
    let private = model.krate.private();
    let Types { key, value } = Types::of(model);
    let body = match &model.store {
        Store::Own { name, settings, .. } => resolve(model, name, settings),
        Store::Given(cache) => {
            let given = given(model, cache);
            quote!(#private::Resolved::Owned({ #given }))
        }
    };
    let mut lasting = generics::lasting(&model.function.sig.generics);
    let asked = bounds::of_accessor(model, &mut lasting).then(|| quote!(#[allow(trivial_bounds)]));
    let clause = &lasting.where_clause;
    quote! {
        #[doc(hidden)]
        #asked
        #vis fn #name #lasting () -> #private::Found<#key, #value> #clause {
            #body
        }
    }
}

/// Statements that end in a clone of a given cache. The annotation is where `Cache`, `&Cache` and `LazyLock<Cache>` become one.
pub(crate) fn given(model: &Cached<'_>, cache: &Expr) -> TokenStream {
    let root = model.krate.root();
    let Types { key, value } = Types::of(model);
    let cache = reference(cache);
    quote! {
        let __hc_given: &#root::Cache<#key, #value> = #cache;
        ::core::clone::Clone::clone(__hc_given)
    }
}

/// A given cache by reference. One of another type is reported where it is written.
fn reference(cache: &Expr) -> TokenStream {
    quote_spanned!(Span::call_site().located_at(cache.span())=> &(#cache))
}

/// Statements that leave the cache of this call in `__hc_cache`.
pub(crate) fn in_place(model: &Cached<'_>) -> TokenStream {
    let (root, private) = (model.krate.root(), model.krate.private());
    let Types { key, value } = Types::of(model);
    match &model.store {
        Store::Given(cache) if is_given_away(model, cache) => {
            let (unpacked, given) = (unpacked(model, cache), given(model, cache));
            quote!(let __hc_cache = #private::Resolved::Owned({ #unpacked #given });)
        }
        Store::Given(cache) => {
            let cache = reference(cache);
            quote! {
                let __hc_given: &#root::Cache<#key, #value> = #cache;
                let __hc_cache = #private::Resolved::of(__hc_given);
            }
        }
        Store::Own { name, settings, .. } => {
            let resolve = resolve(model, name, settings);
            quote!(let __hc_cache = { #resolve };)
        }
    }
}

/// Whether the cache is in something that the body may move: then the call has its own hold on it.
fn is_given_away(model: &Cached<'_>, cache: &Expr) -> bool {
    let (function, tokens) = (model.function, cache.to_token_stream());
    let of_self = function.receiver().filter(|receiver| match &receiver.kind {
        ReceiverKind::Reference(..) => false,
        ReceiverKind::Typed(_, ty) => !matches!(peeled(ty), Type::Reference(_)),
        _ => true,
    });
    let is_lent = |argument: &&Argument| argument.is_named() && matches!(peeled(&argument.ty), Type::Reference(_));
    let owned = function.arguments.iter().filter(|argument| !is_lent(argument));
    of_self.is_some_and(|_| mentions(&tokens, &format_ident!("self")))
        || owned.flat_map(|argument| &argument.names).any(|name| mentions(&tokens, name))
}

/// Statements that end in the cache of the site.
fn resolve(model: &Cached<'_>, name: &Name, settings: &[Setting]) -> TokenStream {
    let (root, private) = (model.krate.root(), model.krate.private());
    let Types { key, value } = Types::of(model);
    let assertions = assertions(model);
    let name = name_of(model, name);
    let settings = settings.iter().map(|Setting { method, argument }| quote!(.#method(#argument)));
    let plain =
        matches!(model.companions, Companions::Struct(_)) && generics::instance(&model.function.sig.generics).is_none();
    let begin = if plain { quote!(__HC.builder(#name)) } else { quote!(#root::Cache::<#key, #value>::builder(#name)) };
    let mut builder = quote!(#begin #(#settings)*);
    if let Some(remote) = model.store.remote() {
        builder = model.krate.needs(&Ident::new("redis", remote.tier.span()), &builder);
    }
    let site = match plain {
        // A free function without generics has one instance, whose types a static can name.
        true => quote!(static __HC: #private::PlainSite<#key, #value> = #private::PlainSite::new();),
        false => quote!(static __HC: #private::Site = #private::Site::new();),
    };
    quote! {
        #site
        #assertions
        __HC.cache(|| #builder)
    }
}

/// The path is what the compiler calls what stands there: two functions of a module may have one name, inside of others and in
/// impls, and in a shared tier they would answer for one another.
fn name_of(model: &Cached<'_>, name: &Name) -> TokenStream {
    let private = model.krate.private();
    let name = match (name, &model.companions) {
        (Name::Written(name), _) => name.to_token_stream(),
        // With generic arguments and all.
        (Name::Own(_), Companions::Nothing) => return quote!(#private::path_here(&|| ())),
        (Name::Own(name), Companions::Struct(_)) => quote!(#private::path_beside::<Self>(#name)),
        (Name::Own(name), Companions::Functions(_)) => {
            let format = format!("{{}}::{name}");
            quote!(::std::format!(#format, ::core::any::type_name::<Self>()))
        }
    };
    match generics::instance(&model.function.sig.generics) {
        None => name,
        Some((instance, arguments)) => {
            let format = format!("{{}}{instance}");
            quote!(::std::format!(#format, #name, #(#arguments),*))
        }
    }
}

/// Exists only for better errors.
fn assertions(model: &Cached<'_>) -> TokenStream {
    let mut assertions = bounds::inside(model).unwrap_or_default();
    if model.returns.doubtful {
        let output = &model.returns.output;
        let private = model.krate.private_at(output.span());
        assertions.extend(quote_spanned!(output.span()=> #private::assert_plain!(#output);));
    }
    assertions
}
