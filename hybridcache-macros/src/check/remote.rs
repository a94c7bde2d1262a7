//! Rules about a tier that several processes share.

use std::time::Duration;

use syn::{Expr, ExprLit, Lit};

use crate::args::cached::CachedArgs;
use crate::args::list::{Written, name_of};
use crate::args::value::Value;
use crate::errors::Errors;

/// As in the builder, which says why.
const SHORTEST_LEASE: Duration = Duration::from_millis(150);
const LONGEST_NAME: usize = 1 << 10;
const TICK: Duration = Duration::from_millis(1);

pub(crate) fn remote(args: &CachedArgs, errors: &Errors) {
    // An unknown tier may have been meant to be remote; a given cache has its own settings, which is another rule's.
    if args.left_unread("tier") || args.cache.is_some() {
        return;
    }
    if args.is_remote() {
        has_an_end(args, errors);
        name_can_be_part_of_keys(args, errors);
        lifetimes_are_whole_milliseconds(args, errors);
        durations_are_long_enough(args, errors);
        match args.tier.as_ref().is_some_and(|tier| tier.value == "redis") {
            true => nothing_is_in_memory(args, errors),
            false => disconnection_is_for_eventual(args, errors),
        }
        sizes_are_not_zero(args, errors);
    } else {
        has_a_tier_to_be_about(args, errors);
    }
}

/// What is forgotten in memory ends with the process; what is forgotten in Redis stays.
fn has_an_end(args: &CachedArgs, errors: &Errors) {
    let said = args.ttl.is_some() || args.sliding.is_some() || args.left_unread("ttl") || args.left_unread("sliding");
    if let Some(tier) = args.tier.as_ref().filter(|_| !said) {
        let message = format!(
            "`tier = {}` keeps entries when this process is gone, so it has to be told for how long: add e.g. `ttl = \"5m\"`, or say `ttl = \"forever\"`",
            tier.value
        );
        errors.at(tier.value.span(), message);
    }
}

/// As in the builder. An empty name is wrong in memory, too, and another rule's.
fn name_can_be_part_of_keys(args: &CachedArgs, errors: &Errors) {
    if let Some(Written { value: Expr::Lit(ExprLit { lit: Lit::Str(name), .. }), .. }) = &args.name
        && (name.value() == "*" || name.value().len() > LONGEST_NAME)
    {
        errors.at(name.span(), "the name is part of each key in a tier that processes share: it is not `*`, which stands for all there, and at most 1 KiB");
    }
}

/// What is zero is another rule's.
fn lifetimes_are_whole_milliseconds(args: &CachedArgs, errors: &Errors) {
    let sliding = args.sliding.as_ref().and_then(|sliding| sliding.value.as_ref());
    let others = [&args.ttl, &args.max_age, &args.none_ttl, &args.remote.settle];
    let others = others.into_iter().flatten().map(|option| &option.value);
    for life in others.chain(sliding) {
        if life.known().is_some_and(|known| known < TICK && !known.is_zero()) {
            errors.at(life.span(), "a tier that processes share counts in milliseconds: give it at least \"1ms\"");
        }
    }
}

fn has_a_tier_to_be_about(args: &CachedArgs, errors: &Errors) {
    for name in args.remote.names() {
        errors.at(name.span(), format!("`{name}` is about a tier that processes share, and the entries of this function are in memory only: add `tier = hybrid`, or remove it"));
    }
    if let Some(single) = args.single_flight.as_ref().filter(|single| single.value == "fleet") {
        errors.at(single.value.span(), "`single_flight = fleet` needs a tier that processes share, and the entries of this function are in memory only: add `tier = hybrid`, or use `single_flight = process` (the default)");
    }
}

fn durations_are_long_enough(args: &CachedArgs, errors: &Errors) {
    let remote = &args.remote;
    let below = |option: &Option<Written<Value<Duration>>>, least: Duration, message: &str| {
        if let Some(Written { value, .. }) = option
            && value.known().is_some_and(|known| known < least)
        {
            errors.at(value.span(), message);
        }
    };
    below(
        &remote.lease,
        SHORTEST_LEASE,
        "a lease is renewed while the body runs, which takes some round trips: give it at least \"150ms\"",
    );
    below(
        &remote.degraded_ttl,
        TICK,
        "what is loaded while the remote tier is away has to last a little, so that not every call runs the body: at least \"1ms\"",
    );
    below(
        &remote.max_disconnected,
        TICK,
        "memory could never answer: give it some time, or use `consistency = bounded` (the default)",
    );
}

fn nothing_is_in_memory(args: &CachedArgs, errors: &Errors) {
    let of_memory = [
        name_of(&args.capacity),
        name_of(&args.max_weight),
        name_of(&args.max_entry_weight),
        name_of(&args.weigh),
        name_of(&args.policy),
        name_of(&args.refresh_ahead),
        name_of(&args.remote.degraded_ttl),
        name_of(&args.remote.max_disconnected),
    ];
    for name in of_memory.into_iter().flatten() {
        let message = format!(
            "`{name}` is about memory, and `tier = redis` keeps nothing there: use `tier = hybrid`, or remove it"
        );
        errors.at(name.span(), message);
    }
}

fn disconnection_is_for_eventual(args: &CachedArgs, errors: &Errors) {
    let Some(longest) = &args.remote.max_disconnected else {
        return;
    };
    if args.remote.consistency.as_ref().is_none_or(|written| written.value != "eventual") {
        errors.at(longest.span(), "`max_disconnected` is for `consistency = eventual`: the others bound by themselves how long memory answers");
    }
}

fn sizes_are_not_zero(args: &CachedArgs, errors: &Errors) {
    if let Some(Written { value, .. }) = &args.remote.max_value_bytes
        && value.known() == Some(0)
    {
        errors.at(value.span(), "a limit of zero keeps nothing: remove it, or allow some, e.g. \"8MiB\"");
    }
}
