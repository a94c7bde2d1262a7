//! Rules about options and the function together.

use proc_macro2::Ident;
use quote::{ToTokens, format_ident};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{Expr, ReceiverKind, Type};

use crate::args::cached::{CachedArgs, Handle};
use crate::args::list::{Written, name_of};
use crate::args::remote::Codec;
use crate::errors::Errors;
use crate::function::Function;
use crate::mention::mentions;
use crate::model::shape::{Shape, peeled, spelled};
use crate::model::{Cached, Companions};

/// What can be told once it is clear what the attribute means.
pub(crate) fn cached(model: &Cached<'_>, args: &CachedArgs, errors: &Errors) {
    name_is_free(model, errors);
    none_can_be_returned(model, args, errors);
    errors_can_be_returned(model, args, errors);
    given_cache_is_within_reach(model, args, errors);
    expressions_of_the_store_stand_alone(model, args, errors);
    if model.ahead {
        body_can_run_behind(model, args, errors);
        arguments_can_be_owned(model.function, errors);
    }
}

/// A struct of this name would stand in the way of what everybody writes.
fn name_is_free(model: &Cached<'_>, errors: &Errors) {
    const TAKEN: [&str; 24] = [
        "bool",
        "char",
        "str",
        "u8",
        "u16",
        "u32",
        "u64",
        "u128",
        "usize",
        "i8",
        "i16",
        "i32",
        "i64",
        "i128",
        "isize",
        "f16",
        "f32",
        "f64",
        "f128",
        "std",
        "core",
        "alloc",
        "test",
        "hybridcache",
    ];
    let Companions::Struct(name) = &model.companions else {
        return;
    };
    if TAKEN.contains(&name.unraw().to_string().as_str()) {
        let message = format!(
            "the handle `{name}` would hide the primitive type or the crate of that name in this module: give it another one, as in `handle = {name}_cache`"
        );
        errors.at(name.span(), message);
    }
}

fn none_can_be_returned(model: &Cached<'_>, args: &CachedArgs, errors: &Errors) {
    if let Some(option) = args.keeps_none().filter(|_| !model.returns.kind.may_be_none()) {
        let message = format!(
            "`{option}` keeps `None`, and this function is not seen to return an `Option`: remove it, or say `returns = option` or `value = T` if an alias hides it"
        );
        errors.at(option.span(), message);
    }
}

fn errors_can_be_returned(model: &Cached<'_>, args: &CachedArgs, errors: &Errors) {
    let option = args.keeps_errors().or(name_of(&args.share_err));
    if let Some(option) = option.filter(|_| !model.returns.kind.may_fail()) {
        let message = format!(
            "`{option}` is about errors, and this function is not seen to return a `Result`: remove it, or say `returns = result` or `value = T` if an alias hides it"
        );
        errors.at(option.span(), message);
    }
}

/// The companions have no arguments to find a cache by.
fn given_cache_is_within_reach(model: &Cached<'_>, args: &CachedArgs, errors: &Errors) {
    let Some(cache) = args.cache.as_ref().filter(|_| !matches!(model.companions, Companions::Nothing)) else {
        return;
    };
    if let Some(name) = mentioned_argument(model.function, &cache.value) {
        let message = format!(
            "the cache comes from the argument `{name}`, which the companions of this function do not have: add `handle = false`, and evict through that cache"
        );
        errors.at(cache.value.span(), message);
    }
}

/// A store is built once, for all calls.
fn expressions_of_the_store_stand_alone(model: &Cached<'_>, args: &CachedArgs, errors: &Errors) {
    let plain = [&args.weigh, &args.store_if, &args.name].into_iter().flatten();
    let codec = args.remote.codec.as_ref().and_then(|Written { name, value }| match value {
        Codec::Own(expr) => Some((name, expr)),
        Codec::Known(_) => None,
    });
    let plain = plain.map(|Written { name, value }| (name, value));
    for (name, value) in plain.chain(codec).chain(args.computed()) {
        // A closure may call its own parameters like arguments of the function.
        if matches!(value, Expr::Closure(_)) {
            continue;
        }
        let of_store = format!("`{name}` belongs to the store, which is built once for all calls: it cannot depend on");
        if let Some(argument) = mentioned_argument(model.function, value) {
            errors.at(value.span(), format!("{of_store} the argument `{argument}`"));
        } else if mentions(&value.to_token_stream(), &format_ident!("self")) {
            errors.at(value.span(), format!("{of_store} `self`"));
        }
    }
}

fn mentioned_argument<'a>(function: &'a Function, expr: &Expr) -> Option<&'a Ident> {
    let tokens = expr.to_token_stream();
    function.arguments.iter().flat_map(|argument| &argument.names).find(|name| mentions(&tokens, name))
}

/// A task that outlives the call has its own hold on `self`, and something to call.
fn body_can_run_behind(model: &Cached<'_>, args: &CachedArgs, errors: &Errors) {
    if let Some(receiver) = model.function.receiver() {
        let shared = match &receiver.kind {
            ReceiverKind::Typed(_, ty) => spelled(behind_reference(ty), "Arc").is_some(),
            _ => false,
        };
        if !shared {
            errors.at(receiver.self_token.span, "`refresh_ahead` runs the body in the background, so it needs its own hold on `self`: take `self: &Arc<Self>`");
        }
    }
    if let (Companions::Nothing, Some(ahead)) = (&model.companions, &args.refresh_ahead) {
        let cure = match args.handle.as_ref().map(|handle| &handle.value) {
            Some(Handle::Without) => "remove `handle = false`",
            _ => "put the attribute on a function outside the trait, or give this method a visibility",
        };
        errors.at(ahead.span(), format!("`refresh_ahead` calls the body from a task of its own, through a companion of this function, and it has none: {cure}"));
    }
}

/// A task that outlives the call owns its arguments.
fn arguments_can_be_owned(function: &Function, errors: &Errors) {
    for argument in &function.arguments {
        if let Some(why) = not_ownable(&argument.ty) {
            let name = argument.names.first().cloned().unwrap_or_else(|| format_ident!("argument"));
            errors.at(argument.ty.span(), format!("`refresh_ahead` runs the body in the background with arguments of its own, and `{name}` {why}: take an owned type or an `Arc`"));
        }
    }
}

fn not_ownable(ty: &Type) -> Option<&'static str> {
    struct Dynamic(bool);
    impl<'ast> Visit<'ast> for Dynamic {
        fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
            self.0 |= matches!(peeled(&reference.elem), Type::TraitObject(_));
            syn::visit::visit_type_reference(self, reference);
        }
    }
    if matches!(peeled(ty), Type::Reference(reference) if reference.mutability.is_some()) {
        return Some("is a `&mut` that belongs to the caller");
    }
    let mut dynamic = Dynamic(false);
    dynamic.visit_type(ty);
    if dynamic.0 {
        return Some("is a borrowed trait object, which cannot be cloned");
    }
    Shape::kept(ty).is_err().then_some("has a borrow inside its type")
}

fn behind_reference(ty: &Type) -> &Type {
    match peeled(ty) {
        Type::Reference(reference) => peeled(&reference.elem),
        other => other,
    }
}
