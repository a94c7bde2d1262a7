//! Rules about `#[cache_evict]` and `#[cache_put]`.

use proc_macro2::Ident;
use quote::ToTokens;

use crate::args::writes::{EvictArgs, PutArgs, Selection, Target};
use crate::errors::Errors;
use crate::function::Function;
use crate::mention::mentions;

pub(crate) fn evict(args: &EvictArgs, function: &Function, errors: &Errors) {
    of_this_version(args, errors);
    one_time_to_evict(args, errors);
    results_exist_when_used(args, errors);
    result_is_no_argument(args.targets.iter().any(of_result), function, errors);
}

pub(crate) fn put(args: &PutArgs, function: &Function, errors: &Errors) {
    let used = args.puts.iter().any(|put| of_result(&put.target) || mentions(&put.value.to_token_stream(), &result()));
    result_is_no_argument(used, function, errors);
}

/// Whether the key of a target is known only after the body.
pub(crate) fn of_result(target: &Target) -> bool {
    match &target.selection {
        Selection::All => false,
        Selection::One { args, .. } => args.iter().any(|arg| mentions(&arg.to_token_stream(), &result())),
    }
}

fn result() -> Ident {
    quote::format_ident!("result")
}

fn of_this_version(args: &EvictArgs, errors: &Errors) {
    for (span, sentence) in &args.later {
        errors.at(*span, sentence);
    }
}

fn one_time_to_evict(args: &EvictArgs, errors: &Errors) {
    if let (Some(before), Some(_)) = (&args.before, &args.on) {
        errors.at(
            before.span(),
            "`before` evicts before the body, whatever comes of it, and `on` chooses by the outcome: keep one of them",
        );
    }
}

fn results_exist_when_used(args: &EvictArgs, errors: &Errors) {
    for target in args.targets.iter().filter(|target| of_result(target)) {
        if args.before.is_some() {
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
