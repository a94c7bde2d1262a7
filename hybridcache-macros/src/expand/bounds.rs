//! What is asked of the types of a cache, so that a type that does not have it is reported once, where it is written.
//!
//! Every verb needs the same bounds. Without help from here each of them would report the same missing `Clone`,
//! before the one message that says what to do.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{GenericParam, Generics, Type, WherePredicate};

use super::wrapper::{allowed, conditions};
use crate::model::key::Part;
use crate::model::shape::{Shape, is_std, to_owned};
use crate::model::{Cached, Companions};

/// One type, and what it has to be.
struct Bound<'a> {
    /// The type as the user wrote it.
    written: &'a Type,
    /// The type that is kept.
    kept: TokenStream,
    role: Role,
}

enum Role {
    Key,
    /// A key that is kept in another form, `Path` as `PathBuf`.
    Target,
    Value,
    /// A key that is spelled in a shared tier.
    SpelledKey,
    SpelledTarget,
    /// A value that a codec of this type encodes.
    Encoded(TokenStream),
}

/// The types of a function that may turn out not to fit.
fn of<'a>(model: &'a Cached<'_>) -> Vec<Bound<'a>> {
    let mut bounds = Vec::new();
    for part in &model.key.parts {
        match part {
            Part::Argument { shape, .. } => keys(shape, &mut bounds),
            Part::Computed { ty, .. } => {
                bounds.push(Bound { written: ty, kept: ty.to_token_stream(), role: Role::Key })
            }
        }
    }
    let value = &model.returns.value;
    bounds.push(Bound { written: value, kept: value.to_token_stream(), role: Role::Value });
    if let Some(remote) = model.store.remote() {
        let spelled: Vec<_> = bounds.iter().filter_map(Bound::spelled).collect();
        bounds.extend(spelled);
        // Of a codec of the user's own the builder asks, where the codec is written.
        if let Some(codec) = remote.codec.ty(&model.krate) {
            bounds.push(Bound { written: value, kept: value.to_token_stream(), role: Role::Encoded(codec) });
        }
    }
    bounds.retain(|bound| !is_known(bound.written) || matches!(bound.role, Role::Encoded(_)));
    bounds
}

fn keys<'a>(shape: &'a Shape, found: &mut Vec<Bound<'a>>) {
    let mut key = |written: &'a Type, kept| found.push(Bound { written, kept, role: Role::Key });
    match shape {
        Shape::Leaf(ty) => key(ty, ty.to_token_stream()),
        Shape::Borrowed(ty) | Shape::Cow(ty) if matches!(ty, Type::Slice(_)) => key(ty, to_owned(ty)),
        Shape::Borrowed(ty) | Shape::Cow(ty) => {
            found.push(Bound { written: ty, kept: to_owned(ty), role: Role::Target });
        }
        Shape::Through(inner) | Shape::Option(inner) => keys(inner, found),
        Shape::Tuple(parts) => parts.iter().for_each(|part| keys(part, found)),
    }
}

/// Where the bounds are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// In items beside the function.
    Apart,
    /// In the clause of the accessor, as no other item could stand beside it or name the generic parameters.
    OfAccessor,
    /// In the body, which is all there is.
    Inside,
}

fn asked(model: &Cached<'_>) -> Asked {
    let lasting = |param: &GenericParam| !matches!(param, GenericParam::Lifetime(_));
    match &model.companions {
        Companions::Struct(_) if !model.function.sig.generics.params.iter().any(lasting) => Asked::Apart,
        Companions::Struct(_) | Companions::Functions(_) => Asked::OfAccessor,
        Companions::Nothing => Asked::Inside,
    }
}

impl Bound<'_> {
    /// What a shared tier asks of a part of a key.
    fn spelled(&self) -> Option<Self> {
        let role = match self.role {
            Role::Key => Role::SpelledKey,
            Role::Target => Role::SpelledTarget,
            _ => return None,
        };
        Some(Self { written: self.written, kept: self.kept.clone(), role })
    }

    /// A call that compiles if the type fits.
    fn call(&self, model: &Cached<'_>) -> TokenStream {
        let Self { written, kept, role } = self;
        let private = model.krate.private_at(written.span());
        match role {
            Role::Key => quote_spanned!(written.span()=> #private::assert_key::<#kept>()),
            Role::Target => quote_spanned!(written.span()=> #private::assert_target::<#written>()),
            Role::Value => quote_spanned!(written.span()=> #private::assert_value::<#kept>()),
            Role::SpelledKey => quote_spanned!(written.span()=> #private::assert_spelled::<#kept>()),
            Role::SpelledTarget => quote_spanned!(written.span()=> #private::assert_spelled_target::<#written>()),
            Role::Encoded(codec) => quote_spanned!(written.span()=> #private::assert_encoded::<#kept, #codec>()),
        }
    }

    /// A predicate that always holds, but can only be written if the type fits. Callers need not prove that.
    fn predicate(&self, model: &Cached<'_>) -> TokenStream {
        let Self { written, kept, role } = self;
        let private = model.krate.private_at(written.span());
        match role {
            Role::Key => quote_spanned!(written.span()=> #private::Keyed<#kept>: ::core::marker::Sized),
            Role::Target => quote_spanned!(written.span()=> #private::Targeted<#written>: ::core::marker::Sized),
            Role::Value => quote_spanned!(written.span()=> #private::Valued<#kept>: ::core::marker::Sized),
            Role::SpelledKey => quote_spanned!(written.span()=> #private::Spelled<#kept>: ::core::marker::Sized),
            Role::SpelledTarget => {
                quote_spanned!(written.span()=> #private::SpelledTargeted<#written>: ::core::marker::Sized)
            }
            Role::Encoded(codec) => {
                quote_spanned!(written.span()=> #private::Encoded<#kept, #codec>: ::core::marker::Sized)
            }
        }
    }

    /// The bound itself. rustc refuses `User: Clone` on sight where it is false, but not with a binder before it.
    fn granted(&self, model: &Cached<'_>) -> TokenStream {
        let Self { kept, role, .. } = self;
        let private = model.krate.private();
        match role {
            Role::Key | Role::Target => quote!(for<'hc> #kept: #private::KeyPart),
            Role::Value => quote!(for<'hc> #kept: #private::CacheValue),
            Role::SpelledKey | Role::SpelledTarget => quote!(for<'hc> #kept: #private::SpelledPart),
            Role::Encoded(codec) => quote!(for<'hc> #codec: #private::Codec<#kept>),
        }
    }
}

/// Asks in items that stand before the function, and in their types: what rustc sees first it reports first, and this
/// is the message that helps.
pub(crate) fn apart(model: &Cached<'_>) -> Option<TokenStream> {
    let (cfg, allowed) = (conditions(model.function), allowed(model.function));
    let item = |bound: &Bound<'_>| {
        let call = bound.call(model);
        quote!(#(#cfg)* #(#allowed)* const _: [(); #call] = [];)
    };
    (asked(model) == Asked::Apart).then(|| of(model).iter().map(item).collect())
}

/// Adds the questions to the clause of the accessor, if that is their place.
pub(crate) fn of_accessor(model: &Cached<'_>, generics: &mut Generics) -> bool {
    let bounds = of(model);
    let here = asked(model) == Asked::OfAccessor && !bounds.is_empty();
    if here {
        extend(generics, bounds.iter().map(|bound| bound.predicate(model)));
    }
    here
}

/// Asks in the body.
pub(crate) fn inside(model: &Cached<'_>) -> Option<TokenStream> {
    let statement = |bound: &Bound<'_>| {
        let call = bound.call(model);
        quote!(let _ = #call;)
    };
    (asked(model) == Asked::Inside).then(|| of(model).iter().map(statement).collect())
}

/// What the handle takes for granted, if it is asked elsewhere.
pub(crate) fn clause(model: &Cached<'_>) -> Option<TokenStream> {
    let bounds = of(model);
    let granted = bounds.iter().map(|bound| bound.granted(model));
    (asked(model) == Asked::Apart && !bounds.is_empty()).then(|| quote!(where #(#granted),*))
}

/// The generic parameters of a verb. What the handle cannot take for granted as a whole, each verb does.
pub(crate) fn of_verb(model: &Cached<'_>) -> Generics {
    let mut generics = model.function.sig.generics.clone();
    if asked(model) == Asked::OfAccessor {
        extend(&mut generics, of(model).iter().map(|bound| bound.granted(model)));
    }
    generics
}

fn extend(generics: &mut Generics, predicates: impl Iterator<Item = TokenStream>) {
    let predicates: Vec<WherePredicate> = predicates.map(|predicate| syn::parse_quote!(#predicate)).collect();
    if !predicates.is_empty() {
        generics.make_where_clause().predicates.extend(predicates);
    }
}

/// Known to satisfy every bound.
fn is_known(ty: &Type) -> bool {
    is_std(ty)
        || match ty {
            Type::Path(path) => path.path.is_ident("str"),
            Type::Tuple(tuple) => tuple.elems.iter().all(is_known),
            Type::Slice(slice) => is_known(&slice.elem),
            _ => false,
        }
}
