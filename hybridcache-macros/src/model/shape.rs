//! How the type of an argument is peeled into a borrowed and an owned form of a key.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{
    BoundLifetimes, GenericArgument, Index, Lifetime, ParenthesizedGenericArguments, PathArguments, Type, TypeFnPtr,
    TypeImplTrait, TypePath, TypeReference,
};

/// What is keyed of a type.
pub(crate) enum Shape {
    /// `T`, keyed by reference and owned as itself.
    Leaf(Type),
    /// `&T`, owned as `<T as ToOwned>::Owned`.
    Borrowed(Type),
    /// `&T` where something inside `T` is borrowed.
    Through(Box<Shape>),
    /// `Cow<'_, T>`, owned as `<T as ToOwned>::Owned`.
    Cow(Type),
    /// `Option<T>` where something inside `T` is borrowed.
    Option(Box<Shape>),
    /// A tuple with something borrowed inside.
    Tuple(Vec<Shape>),
}

/// An expression for something that is to be borrowed.
pub(crate) enum Place {
    /// The thing itself.
    Value(TokenStream),
    /// A reference to it.
    Behind(TokenStream),
}

/// Why a type is no key.
pub(crate) struct Unkeyable {
    pub(crate) span: Span,
    pub(crate) why: String,
    /// An example of a computed part, from the name of the argument.
    pub(crate) cure: Option<fn(&str) -> String>,
}

impl Shape {
    /// How the type forms a key.
    pub(crate) fn of(ty: &Type) -> Result<Self, Unkeyable> {
        Self::peel(ty, refuse)
    }

    /// How something of the type can be kept, be it a key or not.
    pub(crate) fn kept(ty: &Type) -> Result<Self, Unkeyable> {
        Self::peel(ty, |_| Ok(()))
    }

    fn peel(ty: &Type, refuse: fn(&Type) -> Result<(), Unkeyable>) -> Result<Self, Unkeyable> {
        let ty = peeled(ty);
        refuse(ty)?;
        if !borrows(ty) && !matches!(ty, Type::Reference(_)) && cow(ty).is_none() {
            return Ok(Self::Leaf(ty.clone()));
        }
        if let Type::Reference(reference) = ty {
            let inner = peeled(&reference.elem);
            if borrows(inner) {
                return Ok(Self::Through(Box::new(Self::peel(inner, refuse)?)));
            }
            refuse(inner)?;
            return Ok(Self::Borrowed(inner.clone()));
        }
        if let Some(inner) = cow(ty).filter(|inner| !borrows(inner)) {
            return Ok(Self::Cow(inner.clone()));
        }
        if let Some(inner) = spelled(ty, "Option") {
            return Ok(Self::Option(Box::new(Self::peel(inner, refuse)?)));
        }
        match ty {
            Type::Tuple(tuple) => {
                tuple.elems.iter().map(|part| Self::peel(part, refuse)).collect::<Result<_, _>>().map(Self::Tuple)
            }
            _ => Err(borrowed_inside(ty)),
        }
    }

    /// The type that is kept.
    pub(crate) fn owned(&self) -> TokenStream {
        match self {
            Self::Leaf(ty) => ty.to_token_stream(),
            Self::Borrowed(ty) | Self::Cow(ty) => to_owned(ty),
            Self::Through(inner) => inner.owned(),
            Self::Option(inner) => {
                let inner = inner.owned();
                quote!(::core::option::Option<#inner>)
            }
            Self::Tuple(parts) => {
                let parts = parts.iter().map(Self::owned);
                quote!((#(#parts,)*))
            }
        }
    }

    /// The borrowed form of a place of this type.
    pub(crate) fn borrow(&self, place: Place) -> TokenStream {
        match (self, place) {
            (Self::Leaf(_), Place::Value(value)) => quote!(&#value),
            (Self::Leaf(_), Place::Behind(reference)) => reference,
            (Self::Borrowed(_), Place::Value(value)) => value,
            (Self::Borrowed(_), Place::Behind(reference)) => quote!(*#reference),
            (Self::Through(inner), Place::Value(value)) => inner.borrow(Place::Behind(value)),
            (Self::Through(inner), Place::Behind(reference)) => inner.borrow(Place::Behind(quote!((*#reference)))),
            (Self::Cow(_), Place::Value(value)) => quote!(&*#value),
            (Self::Cow(_), Place::Behind(reference)) => quote!(&**#reference),
            // Fields and methods reach through a reference by themselves.
            (Self::Option(inner), Place::Value(value) | Place::Behind(value)) => {
                let item = inner.borrow(Place::Behind(quote!(__hc_item)));
                quote!(#value.as_ref().map(|__hc_item| #item))
            }
            (Self::Tuple(parts), Place::Value(value) | Place::Behind(value)) => {
                let parts = parts.iter().enumerate().map(|(i, part)| {
                    let i = Index::from(i);
                    part.borrow(Place::Value(quote!(#value.#i)))
                });
                quote!((#(#parts,)*))
            }
        }
    }
}

/// `<T as ToOwned>::Owned`, as a person would write it.
pub(crate) fn to_owned(ty: &Type) -> TokenStream {
    match ty {
        Type::Slice(slice) => {
            let element = &slice.elem;
            quote!(::std::vec::Vec<#element>)
        }
        Type::Path(path) if path.path.is_ident("str") => quote!(::std::string::String),
        _ if is_std(ty) => ty.to_token_stream(),
        _ => quote!(<#ty as ::std::borrow::ToOwned>::Owned),
    }
}

/// A primitive or `String`: what is known to be hashable, cloneable and no alias.
pub(crate) fn is_std(ty: &Type) -> bool {
    const NAMES: [&str; 15] = [
        "bool", "char", "String", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
        "isize",
    ];
    matches!(ty, Type::Path(path) if path.path.get_ident().is_some_and(|name| NAMES.iter().any(|known| name == known)))
}

/// The type without parentheses and the invisible groups that `macro_rules!` leaves.
pub(crate) fn peeled(ty: &Type) -> &Type {
    match ty {
        Type::Paren(paren) => peeled(&paren.elem),
        Type::Group(group) => peeled(&group.elem),
        other => other,
    }
}

/// The target of `Cow<'_, T>`.
pub(crate) fn cow(ty: &Type) -> Option<&Type> {
    type_arguments(ty, "Cow")?.find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(peeled(ty)),
        _ => None,
    })
}

/// The first argument of a type that is spelled with this name.
pub(crate) fn spelled<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    match type_arguments(ty, name)?.next()? {
        GenericArgument::Type(ty) => Some(peeled(ty)),
        _ => None,
    }
}

fn type_arguments<'a>(ty: &'a Type, name: &str) -> Option<impl Iterator<Item = &'a GenericArgument>> {
    let Type::Path(TypePath { qself: None, path, .. }) = peeled(ty) else {
        return None;
    };
    match &path.segments.last().filter(|segment| segment.ident == name)?.arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments.args.iter()),
        _ => None,
    }
}

/// Whether the type is seen to hold a borrow that is not `'static`.
pub(crate) fn borrows(ty: &Type) -> bool {
    struct Borrows(bool);
    impl<'ast> Visit<'ast> for Borrows {
        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            self.0 |= reference.lifetime.is_none();
            syn::visit::visit_type_reference(self, reference);
        }
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            self.0 |= lifetime.ident != "static";
        }
        // What a function takes and gives is borrowed when it is called: `fn(&str) -> &str`, `dyn for<'a> Fn(&'a str)`.
        fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
        fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
        fn visit_bound_lifetimes(&mut self, _: &'ast BoundLifetimes) {}
    }
    let mut found = Borrows(false);
    found.visit_type(ty);
    found.0
}

/// The first `impl Trait` in a type: so much of it has no name.
pub(crate) fn unnamed(ty: &Type) -> Option<&TypeImplTrait> {
    struct Unnamed<'a>(Option<&'a TypeImplTrait>);
    impl<'a> Visit<'a> for Unnamed<'a> {
        fn visit_type_impl_trait(&mut self, ty: &'a TypeImplTrait) {
            self.0.get_or_insert(ty);
        }
    }
    let mut found = Unnamed(None);
    found.visit_type(ty);
    found.0
}

/// Refuses what can be no key whatever it points to.
fn refuse(ty: &Type) -> Result<(), Unkeyable> {
    let because = |why: &str| Err(Unkeyable { span: ty.span(), why: why.to_owned(), cure: None });
    match ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            because("a `&mut` argument is there to be changed, and a hit changes nothing")
        }
        Type::FnPtr(_) => because("the same function may have several addresses"),
        Type::TraitObject(_) => because("a trait object cannot be compared with what was there at the last call"),
        _ if ["Box", "Arc", "Rc"].iter().any(|name| matches!(spelled(ty, name), Some(Type::TraitObject(_)))) => {
            because("a trait object cannot be compared with what was there at the last call")
        }
        Type::Ptr(_) => because("an address says nothing about what is there at the next call"),
        _ => match float(ty) {
            Some(name) => Err(Unkeyable {
                span: name.span(),
                why: format!("`{name}` has no `Eq`, as NaN differs from itself"),
                cure: bits_of(ty),
            }),
            None => Ok(()),
        },
    }
}

/// An example of a computed part for a float or a list of them.
fn bits_of(ty: &Type) -> Option<fn(&str) -> String> {
    let is = |ty: &Type, name| matches!(peeled(ty), Type::Path(path) if path.path.is_ident(name));
    let element = match peeled(ty) {
        Type::Reference(reference) => return bits_of(&reference.elem),
        Type::Slice(slice) => Some(&*slice.elem),
        Type::Array(array) => Some(&*array.elem),
        other => spelled(other, "Vec"),
    };
    match element {
        None if is(ty, "f32") => Some(|x| format!("key({x}: u32 = {x}.to_bits())")),
        None if is(ty, "f64") => Some(|x| format!("key({x}: u64 = {x}.to_bits())")),
        Some(element) if is(element, "f32") => {
            Some(|x| format!("key({x}: Vec<u32> = {x}.iter().map(|x| x.to_bits()).collect())"))
        }
        Some(element) if is(element, "f64") => {
            Some(|x| format!("key({x}: Vec<u64> = {x}.iter().map(|x| x.to_bits()).collect())"))
        }
        _ => None,
    }
}

/// A float that is compared when the type is.
fn float(ty: &Type) -> Option<&Ident> {
    match peeled(ty) {
        Type::Path(TypePath { qself: None, path, .. }) if path.is_ident("f32") || path.is_ident("f64") => {
            path.get_ident()
        }
        Type::Tuple(tuple) => tuple.elems.iter().find_map(float),
        Type::Array(array) => float(&array.elem),
        Type::Slice(slice) => float(&slice.elem),
        Type::Reference(reference) => float(&reference.elem),
        other => ["Option", "Vec", "Box", "Arc", "Rc"].iter().find_map(|name| spelled(other, name)).and_then(float),
    }
}

fn borrowed_inside(ty: &Type) -> Unkeyable {
    let is_list = matches!(ty, Type::Slice(_) | Type::Array(_)) || spelled(ty, "Vec").is_some();
    Unkeyable {
        span: ty.span(),
        why: "a borrow is inside its type, and an entry outlives the call".to_owned(),
        cure: Some(if is_list {
            |x| format!("key({x}: Vec<String> = {x}.iter().map(|s| s.to_string()).collect())")
        } else {
            |x| format!("key(id: u64 = {x}.id)")
        }),
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    /// The owned type, the borrow of the argument, and the borrow through a reference to it.
    fn peel(ty: Type) -> [String; 3] {
        let shape = Shape::of(&ty).map_err(|unkeyable| unkeyable.why).unwrap();
        let tidy = |tokens: TokenStream| tokens.to_string().replace(' ', "");
        [tidy(shape.owned()), tidy(shape.borrow(Place::Value(quote!(x)))), tidy(shape.borrow(Place::Behind(quote!(x))))]
    }

    fn why(ty: Type) -> String {
        Shape::of(&ty).err().map(|unkeyable| unkeyable.why).unwrap_or_default()
    }

    #[test]
    fn leaves_are_borrowed_as_they_are() {
        assert_eq!(peel(parse_quote!(u64)), ["u64", "&x", "x"]);
        assert_eq!(peel(parse_quote!(Option<u64>)), ["Option<u64>", "&x", "x"]);
        assert_eq!(peel(parse_quote!(Vec<&'static str>)), ["Vec<&'staticstr>", "&x", "x"]);
        assert_eq!(peel(parse_quote!((u8, String))), ["(u8,String)", "&x", "x"]);
        assert_eq!(peel(parse_quote!([u8; 32])), ["[u8;32]", "&x", "x"]);
        assert_eq!(peel(parse_quote!(PhantomData<fn(&str)>)), ["PhantomData<fn(&str)>", "&x", "x"]);
    }

    #[test]
    fn references_are_peeled() {
        assert_eq!(peel(parse_quote!(&str)), ["::std::string::String", "x", "*x"]);
        assert_eq!(peel(parse_quote!(&u64)), ["u64", "x", "*x"]);
        assert_eq!(peel(parse_quote!(&'a [T])), ["::std::vec::Vec<T>", "x", "*x"]);
        assert_eq!(peel(parse_quote!(&Id)), ["<Idas::std::borrow::ToOwned>::Owned", "x", "*x"]);
        assert_eq!(peel(parse_quote!(&&str)), ["::std::string::String", "*x", "*(*x)"]);
    }

    #[test]
    fn cow_option_and_tuple_are_peeled() {
        assert_eq!(peel(parse_quote!(Cow<'_, str>)), ["::std::string::String", "&*x", "&**x"]);
        let optional = "x.as_ref().map(|__hc_item|*__hc_item)";
        assert_eq!(
            peel(parse_quote!(Option<&str>)),
            ["::core::option::Option<::std::string::String>", optional, optional]
        );
        assert_eq!(peel(parse_quote!((u64, &str))), ["(u64,::std::string::String,)", "(&x.0,x.1,)", "(&x.0,x.1,)"]);
        let through = "(*x).as_ref().map(|__hc_item|*__hc_item)";
        assert_eq!(peel(parse_quote!(&Option<&str>))[1..], ["x.as_ref().map(|__hc_item|*__hc_item)", through]);
    }

    #[test]
    fn what_cannot_be_kept_or_compared_is_refused() {
        assert!(why(parse_quote!(&mut Conn)).contains("`&mut` argument"));
        assert!(why(parse_quote!(fn(u8) -> u8)).contains("addresses"));
        assert!(why(parse_quote!(&dyn Db)).contains("trait object"));
        assert!(why(parse_quote!(Arc<dyn Db>)).contains("trait object"));
        assert!(why(parse_quote!(*const u8)).contains("address"));
        assert!(why(parse_quote!(f64)).contains("no `Eq`"));
        assert!(why(parse_quote!(&[f32])).contains("`f32` has no `Eq`"));
        assert_eq!(why(parse_quote!(OrderedFloat<f64>)), "");
        for borrowed in
            [parse_quote!(&[&str]), parse_quote!(Vec<&str>), parse_quote!(Request<'_>), parse_quote!(HashMap<&str, u8>)]
        {
            assert!(why(borrowed).contains("outlives the call"));
        }
    }
}
