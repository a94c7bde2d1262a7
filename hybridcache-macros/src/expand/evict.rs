//! `#[cache_evict]`: the body, and what is evicted around it.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::body;
use super::target::target;
use crate::args::list::wanted;
use crate::args::writes::EvictArgs;
use crate::check::{evicted_after, of_result, result_in};
use crate::function::{Flow, Function};
use crate::model::Crate;

pub(crate) fn evict(args: &EvictArgs, function: &Function) -> TokenStream {
    let krate = Crate::of(args.krate.as_ref());
    let private = krate.private();
    let (flow, output) = (function.flow(), function.output());
    let (late, early): (Vec<_>, Vec<_>) = args.targets.iter().partition(|target| of_result(target));
    let early = early.into_iter().map(|early| target(early, &krate));
    let finish = match flow.waits() {
        true => quote!(__hc_evicting.finish().await;),
        false => quote!(__hc_evicting.finish_blocking();),
    };
    let run = body::in_place(function, flow, &output, &krate, &evicted_after(args));
    let started = quote! {
        let mut __hc_evicting = #private::Evict::new();
        #(__hc_evicting.add(#early);)*
    };
    let always = args.on.as_ref().is_some_and(|on| on.value == "always");
    let statements = if wanted(&args.before).is_some() {
        quote! {
            #started
            #finish
            let __hc_result = #run;
        }
    } else if always {
        quote! {
            #started
            __hc_evicting.arm();
            let __hc_result = #run;
            let _ = #private::payload!(&__hc_result);
            #finish
        }
    } else {
        let late = late.into_iter().map(|late| target(late, &krate)).collect();
        let succeeded = succeeded(&private, result_in(&evicted_after(args)), late);
        quote! {
            #started
            __hc_evicting.arm();
            let __hc_result = #run;
            #succeeded
            if __hc_succeeded { #finish } else { __hc_evicting.disarm(); }
        }
    };
    wrapped(function, flow, &statements)
}

/// Looks at the result, and lets go of it before anything is awaited: the result need not be `Sync`.
fn succeeded(private: &TokenStream, result: Option<Ident>, late: Vec<TokenStream>) -> TokenStream {
    let Some(result) = result else {
        return quote!(let __hc_succeeded = #private::payload!(&__hc_result).is_some(););
    };
    // A mention may be the parameter of a closure with the same name: then this stays unused.
    quote! {
        let __hc_succeeded = match #private::payload!(&__hc_result) {
            #[allow(unused_variables)]
            ::core::option::Option::Some(#result) => {
                #(__hc_evicting.add(#late);)*
                true
            }
            ::core::option::Option::None => false,
        };
    }
}

/// The function with other statements, which leave `__hc_result`.
pub(crate) fn wrapped(function: &Function, flow: Flow, statements: &TokenStream) -> TokenStream {
    let Function { attrs, vis, sig, .. } = function;
    let block = body::around(flow, &quote!(#statements __hc_result));
    quote!(#(#attrs)* #vis #sig #block)
}
