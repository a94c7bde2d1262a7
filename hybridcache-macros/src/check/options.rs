//! Rules about options and how they go together.

use std::time::Duration;

use syn::{Expr, ExprLit, Lit};

use crate::args::cached::CachedArgs;
use crate::args::list::{Written, name_of};
use crate::args::value::{FOREVER, Value};
use crate::errors::Errors;

pub(crate) fn options(args: &CachedArgs, errors: &Errors) {
    durations_are_not_zero(args, errors);
    sliding_has_a_length(args, errors);
    max_age_caps_something(args, errors);
    capacity_is_not_zero(args, errors);
    one_bound(args, errors);
    weights_are_complete(args, errors);
    jitter_is_a_part(args, errors);
    ahead_is_a_part_of_a_ttl(args, errors);
    one_choice_of_key(args, errors);
    one_way_to_share(args, errors);
    one_word_on_the_value(args, errors);
    name_is_not_empty(args, errors);
    given_cache_is_configured_elsewhere(args, errors);
}

fn durations_are_not_zero(args: &CachedArgs, errors: &Errors) {
    let zero = |value: Option<&Value<Duration>>, message: &str| {
        if let Some(value) = value.filter(|value| value.known() == Some(Duration::ZERO)) {
            errors.at(value.span(), message);
        }
    };
    let of = |option: &'static str| format!("`{option} = \"0s\"` would keep nothing: remove the option");
    zero(
        value(&args.ttl),
        "a ttl of zero would never hit: remove #[cached], or give the entries some time, e.g. \"1s\"",
    );
    zero(
        args.sliding.as_ref().and_then(|sliding| sliding.value.as_ref()),
        "an entry that lives zero seconds after a hit never hits: give it some time, e.g. \"5m\"",
    );
    zero(
        value(&args.max_age),
        "a max_age of zero would never hit: remove it, or give the entries some time, e.g. \"1h\"",
    );
    zero(value(&args.none_ttl), &of("none_ttl"));
    zero(value(&args.err_ttl), &of("err_ttl"));
    zero(
        value(&args.wait_timeout),
        "nobody waits for zero seconds: to let every caller run its own body, say `single_flight = off`",
    );
}

fn value<T>(option: &Option<Written<T>>) -> Option<&T> {
    option.as_ref().map(|written| &written.value)
}

/// `forever` is no length that could be renewed or of which a part could be taken.
fn has_ttl(args: &CachedArgs) -> bool {
    args.left_unread("ttl") || args.ttl.as_ref().is_some_and(|ttl| ttl.value.known() != Some(FOREVER))
}

fn sliding_has_a_length(args: &CachedArgs, errors: &Errors) {
    if let Some(sliding) = args.sliding.as_ref().filter(|sliding| sliding.value.is_none() && !has_ttl(args)) {
        errors.at(
            sliding.span(),
            "`sliding` renews a lifetime, and there is none: write `sliding = \"5m\"`, or add `ttl = \"5m\"`",
        );
    }
}

fn max_age_caps_something(args: &CachedArgs, errors: &Errors) {
    if let (Some(max_age), None, false) = (&args.max_age, &args.sliding, args.left_unread("sliding")) {
        errors.at(
            max_age.span(),
            "`max_age` caps a sliding lifetime, and there is none: add `sliding`, or use `ttl` alone",
        );
    }
}

fn capacity_is_not_zero(args: &CachedArgs, errors: &Errors) {
    if let Some(capacity) = value(&args.capacity).filter(|capacity| capacity.known() == Some(0)) {
        errors.at(
            capacity.span(),
            "a capacity of zero keeps nothing: remove #[cached], or allow some entries, e.g. `capacity = 1_000`",
        );
    }
    if let Some(weight) = value(&args.max_weight).filter(|weight| weight.known() == Some(0)) {
        errors.at(weight.span(), "a max_weight of zero keeps nothing: remove #[cached], or allow some, e.g. \"64MiB\"");
    }
    if let Some(weight) = value(&args.max_entry_weight).filter(|weight| weight.known() == Some(0)) {
        errors.at(weight.span(), "a max_entry_weight of zero keeps nothing: remove it, or allow some, e.g. \"8MiB\"");
    }
}

fn one_bound(args: &CachedArgs, errors: &Errors) {
    if let (Some(capacity), Some(_)) = (&args.capacity, &args.max_weight) {
        errors.at(
            capacity.span(),
            "`capacity` bounds the number of entries and `max_weight` their weight: keep one of them",
        );
    }
}

fn weights_are_complete(args: &CachedArgs, errors: &Errors) {
    match (&args.max_weight, &args.weigh) {
        (Some(max), None) if !args.left_unread("weigh") => errors.at(
            max.span(),
            "`max_weight` needs to know what an entry weighs: add e.g. `weigh = |_key, value| value.len() as u64`",
        ),
        (None, Some(weigh)) if !args.left_unread("max_weight") => {
            errors.at(weigh.span(), "`weigh` needs a bound to weigh against: add e.g. `max_weight = \"64MiB\"`")
        }
        _ => {}
    }
    let Some(most) = &args.max_entry_weight else { return };
    match &args.max_weight {
        None if !args.left_unread("max_weight") => errors.at(
            most.span(),
            "`max_entry_weight` is a part of `max_weight`, and there is none: add e.g. `max_weight = \"64MiB\"` and `weigh`",
        ),
        Some(max) if most.value.known() > max.value.known() && max.value.known().is_some() => {
            errors.at(most.span(), "no entry can be heavier than all may be together: `max_entry_weight` is more than `max_weight`");
        }
        _ => {}
    }
}

fn jitter_is_a_part(args: &CachedArgs, errors: &Errors) {
    if let Some(jitter) =
        value(&args.jitter).filter(|jitter| jitter.known().is_some_and(|part| !(0.0..1.0).contains(&part)))
    {
        errors.at(
            jitter.span(),
            "jitter is the part by which a lifetime may be shortened, from \"0%\" to below \"100%\", e.g. \"10%\"",
        );
    }
}

fn ahead_is_a_part_of_a_ttl(args: &CachedArgs, errors: &Errors) {
    let Some(ahead) = &args.refresh_ahead else {
        return;
    };
    if ahead.value.known().is_some_and(|part| part <= 0.0 || part >= 1.0) {
        errors.at(
            ahead.value.span(),
            "`refresh_ahead` is the part of the ttl after which an entry is loaded anew, between 0 and 1, e.g. `0.8`",
        );
    }
    if !has_ttl(args) && args.cache.is_none() {
        errors.at(ahead.span(), "`refresh_ahead` is a part of the ttl, and there is none: add e.g. `ttl = \"5m\"`");
    } else if has_ttl(args) && args.sliding.as_ref().is_some_and(|sliding| sliding.value.is_none()) {
        errors.at(
            ahead.span(),
            "`refresh_ahead` is a part of the ttl, and with `sliding` alone the ttl is what hits renew: say how long one of them does, as in `sliding = \"5m\"`",
        );
    }
}

fn one_choice_of_key(args: &CachedArgs, errors: &Errors) {
    if let (Some(_), Some(skip)) = (&args.key, &args.skip) {
        errors.at(skip.span(), "`key(..)` already says exactly what forms the key: remove `skip(..)`");
    }
}

fn one_way_to_share(args: &CachedArgs, errors: &Errors) {
    if let (Some(share), Some(cloned)) = (&args.share_err, args.keeps_errors()) {
        errors.at(share.span(), format!("`{cloned}` keeps errors and hands out clones of them: remove `share_err`"));
    }
}

fn one_word_on_the_value(args: &CachedArgs, errors: &Errors) {
    if let (Some(_), Some(returns)) = (&args.value, &args.returns) {
        errors.at(returns.span(), "`value = …` says what is kept, and the rest follows from it: remove `returns`");
    }
}

fn name_is_not_empty(args: &CachedArgs, errors: &Errors) {
    if let Some(Expr::Lit(ExprLit { lit: Lit::Str(name), .. })) = value(&args.name)
        && name.value().trim().is_empty()
    {
        errors
            .at(name.span(), "an empty name tells nobody anything: write one, as in `name = \"users\"`, or remove it");
    }
}

fn given_cache_is_configured_elsewhere(args: &CachedArgs, errors: &Errors) {
    if args.cache.is_none() {
        return;
    }
    let names = [
        name_of(&args.ttl),
        name_of(&args.sliding),
        name_of(&args.max_age),
        name_of(&args.none_ttl),
        name_of(&args.err_ttl),
        name_of(&args.wait_timeout),
        name_of(&args.capacity),
        name_of(&args.max_weight),
        name_of(&args.max_entry_weight),
        name_of(&args.weigh),
        name_of(&args.policy),
        name_of(&args.jitter),
        name_of(&args.single_flight),
        name_of(&args.cache_none),
        name_of(&args.cache_err),
        name_of(&args.store_if),
        name_of(&args.name),
        name_of(&args.version),
        name_of(&args.tier),
    ];
    for name in names.into_iter().flatten().chain(args.remote.names()) {
        errors.at(name.span(), format!("`{name}` configures a store, and this function uses the one in `cache`: set it on the cache, where it is built"));
    }
    if let Some(ahead) = &args.refresh_ahead {
        errors.at(ahead.span(), "`refresh_ahead` reloads what is in the function's own store, and this one uses that in `cache`: remove one of the two");
    }
}
