//! The way of one attribute: arguments → model → rules → tokens.

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::cached::CachedArgs;
use crate::args::writes::{EvictArgs, PutArgs};
use crate::errors::Errors;
use crate::function::Function;
use crate::model::Cached;
use crate::{check, expand};

pub(crate) fn cached(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(&item, |function, errors| {
        let args = CachedArgs::parse(args, errors);
        check::options(&args, errors);
        check::remote(&args, errors);
        let function = function?;
        check::cacheable(function, errors);
        let model = Cached::of(function, &args, errors)?;
        check::cached(&model, &args, errors);
        errors.is_empty().then(|| expand::cached(&model))
    })
}

pub(crate) fn cache_evict(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(&item, |function, errors| {
        let args = EvictArgs::parse(args, errors);
        let function = function?;
        check::wrappable(function, errors);
        check::evict(&args, function, errors);
        errors.is_empty().then(|| expand::evict(&args, function))
    })
}

pub(crate) fn cache_put(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(&item, |function, errors| {
        let args = PutArgs::parse(args, errors);
        let function = function?;
        check::wrappable(function, errors);
        check::put(&args, function, errors);
        errors.is_empty().then(|| expand::put(&args, function))
    })
}

/// Expands, or reports everything that is wrong beside the item as it was: who calls it gets no errors on top.
fn attribute(
    item: &TokenStream,
    expand: impl FnOnce(Option<&Function>, &Errors) -> Option<TokenStream>,
) -> TokenStream {
    let errors = Errors::new();
    let function: Option<Function> = errors.keep(syn::parse2(item.clone()));
    let expanded = expand(function.as_ref(), &errors);
    match errors.finish() {
        Ok(()) => expanded.unwrap_or_else(|| item.clone()),
        Err(error) => {
            let errors = error.to_compile_error();
            quote!(#errors #item)
        }
    }
}
