//! `#[cache_put]`: the body between taking a lease and filling it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::spanned::Spanned as _;

use super::body;
use super::evict::wrapped;
use super::target::{cache, target};
use crate::args::writes::{Put, PutArgs};
use crate::check::{of_result, put_after, result_in};
use crate::function::Function;
use crate::model::Crate;

pub(crate) fn put(args: &PutArgs, function: &Function) -> TokenStream {
    let krate = Crate::of(args.krate.as_ref());
    let private = krate.private();
    let (flow, output) = (function.flow(), function.output());
    let steps: Vec<Step<'_>> = args.puts.iter().enumerate().map(|(i, put)| Step::of(i, put)).collect();
    let run = body::in_place(function, flow, &output, &krate, &put_after(args));
    let taken = steps.iter().map(|step| step.take(&krate, flow.waits()));
    let values = steps.iter().map(|step| step.value(&krate));
    let filled: Vec<_> = steps.iter().map(|step| step.fill(&krate, flow.waits())).collect();
    let bound = steps.iter().map(Step::bound);
    let cancelled = steps.iter().filter(|step| !step.late).map(|step| {
        let lease = &step.lease;
        quote!(#lease.cancel();)
    });
    let result = result_in(&put_after(args)).map_or_else(|| quote!(_), Ident::into_token_stream);
    // The values are computed from the result and let go of it before anything is awaited: the result need not be `Sync`. What
    // mentions it may be a closure whose parameter has its name: then it stays unused.
    let statements = quote! {
        #(#taken)*
        let __hc_result = #run;
        let __hc_values = match #private::payload!(&__hc_result) {
            #[allow(unused_variables)]
            ::core::option::Option::Some(#result) => ::core::option::Option::Some((#(#values,)*)),
            ::core::option::Option::None => ::core::option::Option::None,
        };
        match __hc_values {
            ::core::option::Option::Some((#(#bound,)*)) => { #(#filled)* }
            ::core::option::Option::None => { #(#cancelled)* }
        }
    };
    wrapped(function, flow, &statements)
}

/// One of the puts, with the names of its variables.
struct Step<'a> {
    put: &'a Put,
    /// The key is known after the body only.
    late: bool,
    lease: Ident,
    at: Ident,
    value: Ident,
}

impl<'a> Step<'a> {
    fn of(i: usize, put: &'a Put) -> Self {
        // A value of the wrong type is reported where it is written.
        let located = Span::call_site().located_at(put.value.span());
        Self {
            put,
            late: of_result(&put.target),
            lease: format_ident!("__hc_put{i}"),
            at: format_ident!("__hc_at{i}"),
            value: format_ident!("__hc_value{i}", span = located),
        }
    }

    /// Before the body: a lease on the key if it is known, else a ticket that tells what is written meanwhile.
    fn take(&self, krate: &Crate, waits: bool) -> TokenStream {
        let lease = &self.lease;
        if self.late {
            let cache = cache(&self.put.target.place);
            return quote!(let #lease = #cache.__ticket(););
        }
        let at = target(&self.put.target, krate);
        match waits {
            true => quote!(let #lease = #at.write().await;),
            false => quote!(let #lease = #at.write_blocking();),
        }
    }

    fn value(&self, krate: &Crate) -> TokenStream {
        let value = &self.put.value;
        if self.late {
            let at = target(&self.put.target, krate);
            return quote!((#at, #value));
        }
        value.to_token_stream()
    }

    fn bound(&self) -> TokenStream {
        let Self { at, value, .. } = self;
        if self.late { quote!((#at, #value)) } else { quote!(#value) }
    }

    /// What becomes of the value concerns the cache alone, and its log.
    fn fill(&self, krate: &Crate, waits: bool) -> TokenStream {
        let Self { lease, at, value, .. } = self;
        let private = krate.private();
        let at = self.late.then(|| quote!(#at,));
        match waits {
            true => quote!(#private::reported(#lease.put(#at #value).await);),
            false => quote!(#private::reported(#lease.put_blocking(#at #value));),
        }
    }
}
