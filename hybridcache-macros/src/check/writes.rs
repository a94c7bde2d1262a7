//! Rules about `#[cache_evict]` and `#[cache_put]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};

use crate::args::list::wanted;
use crate::args::writes::{EvictArgs, Put, PutArgs, Selection, Target};
use crate::errors::Errors;
use crate::function::{Flow, Function};
use crate::mention::{mention, mentions};

pub(crate) fn evict(args: &EvictArgs, function: &Function, errors: &Errors) {
    one_time_to_evict(args, errors);
    results_exist_when_used(args, errors);
    result_is_no_argument(args.targets.iter().any(of_result), function, errors);
    self_is_left(&evicted_after(args), function, errors);
}

pub(crate) fn put(args: &PutArgs, function: &Function, errors: &Errors) {
    let after = put_after(args);
    result_is_no_argument(result_in(&after).is_some(), function, errors);
    self_is_left(&after, function, errors);
}

/// Whether the key of a target is known only after the body.
pub(crate) fn of_result(target: &Target) -> bool {
    match &target.selection {
        Selection::All => false,
        Selection::One { args, .. } => args.iter().any(|arg| result_in(&arg.to_token_stream()).is_some()),
    }
}

/// What an eviction evaluates after the body.
pub(crate) fn evicted_after(args: &EvictArgs) -> TokenStream {
    args.targets.iter().filter(|target| of_result(target)).map(Target::expressions).collect()
}

/// What a put evaluates after the body: each value, and the keys that are made of it.
pub(crate) fn put_after(args: &PutArgs) -> TokenStream {
    let after = args.puts.iter().map(|Put { target, value }| {
        let target = of_result(target).then(|| target.expressions());
        quote!(#target #value,)
    });
    after.collect()
}

/// The `result` that expressions mention, as it has to be spelled for them to see it.
pub(crate) fn result_in(tokens: &TokenStream) -> Option<Ident> {
    let result = |span| Ident::new("result", span);
    mention(tokens, &result(Span::call_site())).map(result)
}

fn one_time_to_evict(args: &EvictArgs, errors: &Errors) {
    if let (Some(before), Some(_)) = (wanted(&args.before), &args.on) {
        errors.at(
            before.span(),
            "`before` evicts before the body, whatever comes of it, and `on` chooses by the outcome: keep one of them",
        );
    }
}

fn results_exist_when_used(args: &EvictArgs, errors: &Errors) {
    for target in args.targets.iter().filter(|target| of_result(target)) {
        if wanted(&args.before).is_some() {
            errors.at(
                target.span,
                "there is no `result` before the body: remove `before`, or name the entry by the arguments",
            );
        } else if args.on.as_ref().is_some_and(|on| on.value == "always") {
            errors.at(target.span, "there is no `result` when the function fails: remove `on = always`, or name the entry by the arguments");
        }
    }
}

fn result_is_no_argument(used: bool, function: &Function, errors: &Errors) {
    let named = function.arguments.iter().flat_map(|argument| &argument.names).find(|name| *name == "result");
    if let Some(argument) = named.filter(|_| used) {
        errors.at(
            argument.span(),
            "in the attribute `result` means what the function returned: give this argument another name",
        );
    }
}

/// A future that the body returns has taken along what it needs.
fn self_is_left(after: &TokenStream, function: &Function, errors: &Errors) {
    let this = function.exclusive().find(|name| name == "self");
    let moved = matches!(function.flow(), Flow::Boxed | Flow::Unboxed);
    if let Some(this) = this.filter(|this| moved && mentions(after, this)) {
        errors.at(
            this.span(),
            "what the attribute evaluates after the body mentions `self`, which the future of the body has taken along: name the method by its type, as in `Self::user(result.id)`, or take `&self`",
        );
    }
}
