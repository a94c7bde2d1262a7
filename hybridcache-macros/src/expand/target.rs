//! What `#[cache_evict]` and `#[cache_put]` name, as expressions of the runtime.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{AngleBracketedGenericArguments, Expr, Path, PathArguments};

use super::wrapper::hidden;
use crate::args::writes::{Place, Selection, Target};
use crate::model::Crate;

/// One entry or a whole cache, whichever was selected.
pub(crate) fn target(target: &Target, krate: &Crate) -> TokenStream {
    let private = krate.private();
    match &target.selection {
        Selection::One { parens, args } => at(&target.place, *parens, args, krate),
        Selection::All => match &target.place {
            Place::Named(name) => quote!(#private::Named::all(#name)),
            place => {
                let cache = cache(place);
                quote!(#private::All::new(#cache))
            }
        },
    }
}

/// The cache of a function. `named(…)` is no function.
pub(crate) fn cache(place: &Place) -> TokenStream {
    match place {
        Place::Function(path) => {
            let function = companion(path, "cache");
            quote!(#function())
        }
        Place::Method { receiver, name, generics } => {
            let (method, generics) = (spanned(hidden(name, "cache"), name), turbofish(generics));
            quote!(#receiver.#method #generics ())
        }
        Place::Associated { ty, name, generics } => {
            let (method, generics) = (spanned(format_ident!("{name}_cache"), name), turbofish(generics));
            quote!(#ty::#method #generics ())
        }
        Place::Named(name) => name.to_token_stream(),
    }
}

/// One entry. The arguments are in the user's own parentheses, so that the compiler's word on their number and types points there.
fn at(place: &Place, parens: Span, args: &[Expr], krate: &Crate) -> TokenStream {
    let private = krate.private();
    let borrowed = args.iter().map(borrow);
    let arguments = quote_spanned!(parens=> (#(#borrowed),*));
    match place {
        Place::Function(path) => {
            let (cache, key) = (cache(place), companion(path, "key"));
            quote!(#private::At::new(#cache, #key #arguments))
        }
        Place::Method { receiver, name, generics } => {
            let (method, generics) = (spanned(hidden(name, "key"), name), turbofish(generics));
            let cache = cache(place);
            quote!(#private::At::new(#cache, #receiver.#method #generics #arguments))
        }
        Place::Associated { ty, name, generics } => {
            let (method, generics) = (spanned(format_ident!("{name}_key"), name), turbofish(generics));
            let cache = cache(place);
            quote!(#private::At::new(#cache, #ty::#method #generics #arguments))
        }
        Place::Named(name) => {
            let owned: Vec<_> = args.iter().map(|arg| quote!((#arg).to_owned())).collect();
            let key = crate::model::key::tuple(owned);
            quote! {{
                #[allow(unused_imports)]
                use ::std::borrow::ToOwned as _;
                #private::Named::one(#name, #key)
            }}
        }
    }
}

/// `&argument`, so that coercions work.
fn borrow(arg: &Expr) -> TokenStream {
    let located = Span::call_site().located_at(arg.span());
    match arg {
        Expr::Path(_)
        | Expr::Lit(_)
        | Expr::Call(_)
        | Expr::MethodCall(_)
        | Expr::Field(_)
        | Expr::Index(_)
        | Expr::Macro(_)
        | Expr::Paren(_)
        | Expr::Tuple(_) => {
            quote_spanned!(located=> &#arg)
        }
        _ => quote_spanned!(located=> &(#arg)),
    }
}

/// A function of the handle: its path with another last segment, on which the generic arguments stay.
fn companion(path: &Path, name: &str) -> TokenStream {
    let mut handle = path.clone();
    let mut generics = TokenStream::new();
    if let Some(last) = handle.segments.last_mut()
        && let PathArguments::AngleBracketed(arguments) = std::mem::replace(&mut last.arguments, PathArguments::None)
    {
        generics = turbofish(&Some(arguments));
    }
    let at = path.segments.last().map_or_else(Span::call_site, |last| last.ident.span());
    let name = Ident::new(name, at);
    // In angle brackets the handle is looked for as a type, and what is not cached is not taken for a missing crate.
    let begin = path.segments.first().map_or(at, |first| first.ident.span());
    quote_spanned!(begin=> <#handle>::#name #generics)
}

fn turbofish(generics: &Option<AngleBracketedGenericArguments>) -> TokenStream {
    generics.as_ref().map(|AngleBracketedGenericArguments { args, .. }| quote!(::<#args>)).unwrap_or_default()
}

fn spanned(mut name: Ident, at: &Ident) -> Ident {
    name.set_span(at.span());
    name
}
