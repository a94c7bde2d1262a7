//! A load behind the caller's back, in a task that owns what it works on.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Index, ReceiverKind, Type};

use super::wrapper::{body_called_with, wait};
use crate::model::Cached;
use crate::model::shape::{Place, Shape, peeled};

/// Owns every argument and hands a task to `__hc_due`.
pub(crate) fn due(model: &Cached<'_>) -> TokenStream {
    let mut lets = TokenStream::new();
    let mut passed = Vec::new();
    if let Some(receiver) = model.function.receiver() {
        let this = receiver.self_token;
        if matches!(&receiver.kind, ReceiverKind::Typed(_, ty) if matches!(peeled(ty), Type::Reference(_))) {
            lets.extend(quote!(let __hc_self = ::core::clone::Clone::clone(#this);));
            passed.push(quote!(&__hc_self));
        } else {
            passed.push(quote!(#this));
        }
    }
    for (i, argument) in model.function.arguments.iter().enumerate() {
        let name = &argument.name;
        // What cannot be owned was refused.
        let shape = Shape::kept(&argument.ty).unwrap_or_else(|_| Shape::Leaf(argument.ty.clone()));
        if let Shape::Leaf(_) = shape {
            passed.push(quote!(#name));
            continue;
        }
        let own = format_ident!("__hc_own{i}");
        let owned = owned(&shape, Place::Value(quote!(#name)));
        lets.extend(quote!(let #own = #owned;));
        passed.push(lent(&shape, Place::Value(quote!(#own))));
    }
    let (called, wait) = (body_called_with(model, passed), wait(model.flow));
    let call = quote!(#called #wait);
    match model.flow.waits() {
        true => quote!(#lets __hc_due.spawn(async move { #call });),
        false => quote!(#lets __hc_due.spawn_blocking(move || #call);),
    }
}

/// An owned form of a place of this shape.
fn owned(shape: &Shape, place: Place) -> TokenStream {
    match (shape, place) {
        (Shape::Leaf(_), Place::Value(value)) => value,
        (Shape::Leaf(_), Place::Behind(reference)) => {
            quote!(::core::clone::Clone::clone(#reference))
        }
        (Shape::Borrowed(ty), Place::Value(value)) => {
            quote!(<#ty as ::std::borrow::ToOwned>::to_owned(#value))
        }
        (Shape::Borrowed(ty), Place::Behind(reference)) => {
            quote!(<#ty as ::std::borrow::ToOwned>::to_owned(*#reference))
        }
        (Shape::Through(inner), Place::Value(value)) => owned(inner, Place::Behind(value)),
        (Shape::Through(inner), Place::Behind(reference)) => owned(inner, Place::Behind(quote!((*#reference)))),
        (Shape::Cow(ty), Place::Value(value)) => {
            quote!(::std::borrow::Cow::<'static, #ty>::Owned(#value.into_owned()))
        }
        (Shape::Cow(ty), Place::Behind(value)) => {
            quote!(::std::borrow::Cow::<'static, #ty>::Owned(#value.clone().into_owned()))
        }
        (Shape::Option(inner), Place::Value(value)) => {
            let item = owned(inner, Place::Value(quote!(__hc_item)));
            quote!(#value.map(|__hc_item| #item))
        }
        (Shape::Option(inner), Place::Behind(value)) => {
            let item = owned(inner, Place::Behind(quote!(__hc_item)));
            quote!(#value.as_ref().map(|__hc_item| #item))
        }
        (Shape::Tuple(parts), Place::Value(value)) => {
            tuple(parts, |i, part| owned(part, Place::Value(quote!(#value.#i))))
        }
        (Shape::Tuple(parts), Place::Behind(value)) => {
            tuple(parts, |i, part| owned(part, Place::Behind(quote!(&#value.#i))))
        }
    }
}

/// What the function takes, lent from the owned form.
fn lent(shape: &Shape, place: Place) -> TokenStream {
    match (shape, place) {
        (Shape::Leaf(_), Place::Value(value)) => value,
        (Shape::Leaf(_), Place::Behind(reference)) => {
            quote!(::core::clone::Clone::clone(#reference))
        }
        (Shape::Borrowed(ty), Place::Value(value)) => {
            quote!(::core::borrow::Borrow::<#ty>::borrow(&#value))
        }
        (Shape::Borrowed(ty), Place::Behind(reference)) => {
            quote!(::core::borrow::Borrow::<#ty>::borrow(#reference))
        }
        (Shape::Through(inner), place) => {
            let inner = lent(inner, place);
            quote!(&#inner)
        }
        (Shape::Cow(_), Place::Value(value)) => value,
        (Shape::Cow(_), Place::Behind(reference)) => {
            quote!(::std::borrow::Cow::Borrowed(&**#reference))
        }
        (Shape::Option(inner), Place::Value(value) | Place::Behind(value)) => {
            let item = lent(inner, Place::Behind(quote!(__hc_item)));
            quote!(#value.as_ref().map(|__hc_item| #item))
        }
        (Shape::Tuple(parts), Place::Value(value) | Place::Behind(value)) => {
            tuple(parts, |i, part| lent(part, Place::Behind(quote!(&#value.#i))))
        }
    }
}

fn tuple(parts: &[Shape], part: impl Fn(Index, &Shape) -> TokenStream) -> TokenStream {
    let parts = parts.iter().enumerate().map(|(i, shape)| part(Index::from(i), shape));
    quote!((#(#parts,)*))
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn both(ty: Type) -> [String; 2] {
        let shape = Shape::kept(&ty).map_err(|unkeyable| unkeyable.why).unwrap();
        let tidy = |tokens: TokenStream| tokens.to_string().replace(' ', "");
        [tidy(owned(&shape, Place::Value(quote!(x)))), tidy(lent(&shape, Place::Value(quote!(o))))]
    }

    #[test]
    fn every_shape_is_owned_and_lent_again() {
        assert_eq!(
            both(parse_quote!(&str)),
            ["<stras::std::borrow::ToOwned>::to_owned(x)", "::core::borrow::Borrow::<str>::borrow(&o)"]
        );
        assert_eq!(both(parse_quote!(f64)), ["x", "o"]);
        assert_eq!(
            both(parse_quote!(&&str)),
            ["<stras::std::borrow::ToOwned>::to_owned(*x)", "&::core::borrow::Borrow::<str>::borrow(&o)"]
        );
        assert_eq!(both(parse_quote!(Cow<'_, str>)), ["::std::borrow::Cow::<'static,str>::Owned(x.into_owned())", "o"]);
        assert_eq!(
            both(parse_quote!(Option<&str>)),
            [
                "x.map(|__hc_item|<stras::std::borrow::ToOwned>::to_owned(__hc_item))",
                "o.as_ref().map(|__hc_item|::core::borrow::Borrow::<str>::borrow(__hc_item))"
            ]
        );
        assert_eq!(
            both(parse_quote!((u64, &str))),
            [
                "(x.0,<stras::std::borrow::ToOwned>::to_owned(x.1),)",
                "(::core::clone::Clone::clone(&o.0),::core::borrow::Borrow::<str>::borrow(&o.1),)"
            ]
        );
    }
}
