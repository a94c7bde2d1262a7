//! Which arguments form the key, and how.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Expr, Type};

use super::shape::{Shape, cow, peeled};
use crate::args::cached::{CachedArgs, KeyPart};
use crate::errors::Errors;
use crate::function::Function;
use crate::mention::mentions;
use crate::suggest::nearest;

/// The key of a cached function.
pub(crate) struct Key {
    pub(crate) parts: Vec<Part>,
    /// The arguments that the key is made of, by position.
    pub(crate) arguments: Vec<usize>,
    /// A part is computed from `self`.
    pub(crate) uses_self: bool,
}

pub(crate) enum Part {
    Argument {
        index: usize,
        shape: Shape,
    },
    Computed {
        /// The variable that holds the computed part.
        binding: Ident,
        ty: Box<Type>,
        expr: Box<Expr>,
        /// The arguments that the expression mentions.
        mentioned: Vec<usize>,
    },
}

/// How a verb of the handle takes an argument of the function.
pub(crate) enum Passed {
    /// It is a reference already.
    AsIs,
    /// The target of a `Cow` or of a `&mut`, by reference.
    Target(Box<Type>),
    ByReference,
}

impl Passed {
    pub(crate) fn of(ty: &Type) -> Self {
        match peeled(ty) {
            Type::Reference(reference) if reference.mutability.is_none() => Self::AsIs,
            Type::Reference(reference) => Self::Target(reference.elem.clone()),
            other => cow(other).map_or(Self::ByReference, |target| Self::Target(Box::new(target.clone()))),
        }
    }
}

/// The trait for keys is implemented for tuples up to this length.
const LONGEST: usize = 12;

impl Key {
    pub(crate) fn of(function: &Function, args: &CachedArgs, errors: &Errors) -> Option<Self> {
        if args.left_unread("key") || args.left_unread("skip") {
            return None;
        }
        let before = errors.len();
        let parts: Vec<Part> = match &args.key {
            Some(key) => {
                distinct(&key.value, errors);
                key.value.iter().filter_map(|part| chosen(part, function, errors)).collect()
            }
            None => {
                self_is_skipped(function, args, errors);
                let skipped = skipped(function, args, errors);
                let kept = (0..function.arguments.len()).filter(|index| !skipped.contains(index));
                kept.filter_map(|index| whole(index, function, errors)).collect()
            }
        };
        if parts.len() > LONGEST {
            let message = format!(
                "this key has {} parts, and {LONGEST} is the most: leave some out with `skip(..)`, or join them with `key(..)`, e.g. `key(id, rest: (u8, u8) = (*a, *b))`",
                parts.len()
            );
            errors.at(function.sig.ident.span(), message);
        }
        if errors.len() > before {
            return None;
        }
        let mut arguments: Vec<usize> = parts.iter().flat_map(Part::arguments).copied().collect();
        arguments.sort_unstable();
        arguments.dedup();
        let this = format_ident!("self");
        let uses_self = parts
            .iter()
            .any(|part| matches!(part, Part::Computed { expr, .. } if mentions(&expr.to_token_stream(), &this)));
        Some(Self { parts, arguments, uses_self })
    }

    /// The type that is kept: nothing, the one part, or a tuple.
    pub(crate) fn owned(&self) -> TokenStream {
        let parts = self.parts.iter().map(|part| match part {
            Part::Argument { shape, .. } => shape.owned(),
            Part::Computed { ty, .. } => ty.to_token_stream(),
        });
        tuple(parts.collect())
    }
}

impl Part {
    fn arguments(&self) -> &[usize] {
        match self {
            Self::Argument { index, .. } => std::slice::from_ref(index),
            Self::Computed { mentioned, .. } => mentioned,
        }
    }
}

/// `()`, `a`, `(a, b)`.
pub(crate) fn tuple(parts: Vec<TokenStream>) -> TokenStream {
    match parts.as_slice() {
        [one] => one.clone(),
        _ => quote!((#(#parts),*)),
    }
}

fn chosen(part: &KeyPart, function: &Function, errors: &Errors) -> Option<Part> {
    match part {
        KeyPart::Argument(name) if name == "self" => {
            errors.at(name.span(), "`self` cannot be part of a key as it is: say what tells it apart, e.g. `key(tenant: u64 = self.tenant)`");
            None
        }
        KeyPart::Argument(name) => match function.argument(name) {
            Some(index) => whole(index, function, errors),
            None => {
                errors.at(name.span(), no_such_argument(name, function));
                None
            }
        },
        KeyPart::Computed { name, ty, expr } => {
            let tokens = expr.to_token_stream();
            let mentioned = |index: &usize| function.arguments[*index].names.iter().any(|name| mentions(&tokens, name));
            Some(Part::Computed {
                binding: format_ident!("__hc_key_{}", name.unraw()),
                ty: ty.clone(),
                expr: expr.clone(),
                mentioned: (0..function.arguments.len()).filter(mentioned).collect(),
            })
        }
    }
}

/// An argument as it is.
fn whole(index: usize, function: &Function, errors: &Errors) -> Option<Part> {
    let argument = &function.arguments[index];
    match Shape::of(&argument.ty) {
        Ok(shape) => Some(Part::Argument { index, shape }),
        Err(unkeyable) => {
            let Some(name) = argument.names.first() else {
                let message = format!(
                    "this argument cannot be part of a key: {}. Give it a name and add `skip(name)`",
                    unkeyable.why
                );
                errors.at(unkeyable.span, message);
                return None;
            };
            let example =
                unkeyable.cure.map(|cure| format!(", e.g. `{}`", cure(&name.to_string()))).unwrap_or_default();
            let message = format!(
                "`{name}` cannot be part of a key: {}. Add `skip({name})`, or choose the key with `key(..)`{example}",
                unkeyable.why
            );
            errors.at(unkeyable.span, message);
            None
        }
    }
}

fn skipped(function: &Function, args: &CachedArgs, errors: &Errors) -> HashSet<usize> {
    let names = args.skip.iter().flat_map(|skip| &skip.value).filter(|name| *name != "self");
    let position = |name: &Ident| {
        let position = function.argument(name);
        if position.is_none() {
            errors.at(name.span(), no_such_argument(name, function));
        }
        position
    };
    names.filter_map(position).collect()
}

fn no_such_argument(name: &Ident, function: &Function) -> String {
    let names = function.argument_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match nearest(&name.to_string(), &names) {
        Some(near) => format!("there is no argument `{name}`; did you mean `{near}`?"),
        None if names.is_empty() => format!("there is no argument `{name}`: the function has none"),
        None => format!("there is no argument `{name}`; there are {}", crate::suggest::list(&names)),
    }
}

fn self_is_skipped(function: &Function, args: &CachedArgs, errors: &Errors) {
    let said = args.skip.iter().flat_map(|skip| &skip.value).find(|name| *name == "self");
    match (function.receiver(), said) {
        (Some(receiver), None) => errors.at(
            receiver.self_token.span,
            "is `self` part of the key? Say `skip(self)` if every instance gives the same answers, or choose the key, e.g. `key(tenant: u64 = self.tenant, id)`",
        ),
        (None, Some(said)) => errors.at(said.span(), "there is no `self` here to skip"),
        _ => {}
    }
}

fn distinct(parts: &[KeyPart], errors: &Errors) {
    let mut seen = HashSet::new();
    for part in parts {
        let (KeyPart::Argument(name) | KeyPart::Computed { name, .. }) = part;
        if !seen.insert(name.unraw().to_string()) {
            errors.at(
                name.span(),
                format!("`{name}` is in the key twice: remove one, or give the computed part another name"),
            );
        }
    }
}
