//! Generic parameters of a function, for the items beside it.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{GenericParam, Generics, TypeParamBound};

use crate::mention::mentions_lifetime;

/// `::<T, N>`: lifetimes are left to inference, as a late-bound one may not be given.
pub(crate) fn turbofish(generics: &Generics) -> TokenStream {
    let names = lasting_names(generics);
    if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
}

/// The parameters that tell stores apart: types and constants. Lifetimes, and what is said about them, belong to one call.
pub(crate) fn lasting(generics: &Generics) -> Generics {
    let lifetimes: Vec<Ident> = generics.lifetimes().map(|param| param.lifetime.ident.clone()).collect();
    if lifetimes.is_empty() {
        return generics.clone();
    }
    let mut kept = Generics::default();
    for param in &generics.params {
        let mut param = param.clone();
        match &mut param {
            GenericParam::Lifetime(_) => continue,
            GenericParam::Type(param) => {
                let stays = |bound: &TypeParamBound| !mentions_lifetime(&bound.to_token_stream(), &lifetimes);
                param.bounds = std::mem::take(&mut param.bounds).into_iter().filter(stays).collect();
            }
            GenericParam::Const(_) => {}
        }
        kept.params.push(param);
    }
    if let Some(clause) = &generics.where_clause {
        let stays =
            clause.predicates.iter().filter(|predicate| !mentions_lifetime(&predicate.to_token_stream(), &lifetimes));
        for predicate in stays {
            kept.make_where_clause().predicates.push(predicate.clone());
        }
    }
    kept
}

/// What distinguishes the names of instantiations: a format string and its arguments. Nothing for a function without generics.
pub(crate) fn instance(generics: &Generics) -> Option<(String, Vec<TokenStream>)> {
    let arguments: Vec<TokenStream> = generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Type(param) => {
                let name = &param.ident;
                Some(quote!(::core::any::type_name::<#name>()))
            }
            GenericParam::Const(param) => Some(param.ident.to_token_stream()),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    let holes = vec!["{}"; arguments.len()].join(", ");
    (!arguments.is_empty()).then(|| (format!("<{holes}>"), arguments))
}

fn lasting_names(generics: &Generics) -> Vec<&Ident> {
    let names = generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        GenericParam::Lifetime(_) => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn lifetimes_and_what_is_said_about_them_go() {
        let mut generics: Generics = parse_quote!(<'a, T: Load<'a> + Clone, const N: usize>);
        generics.where_clause = Some(parse_quote!(where T: 'a, T: 'static, 'a: 'static));
        let kept = lasting(&generics);
        let clause = &kept.where_clause;
        assert_eq!(quote!(#kept #clause).to_string(), quote!(<T: Clone, const N: usize> where T: 'static).to_string());
        assert_eq!(turbofish(&generics).to_string(), quote!(::<T, N>).to_string());
        assert_eq!(instance(&generics).map(|(format, _)| format).as_deref(), Some("<{}, {}>"));
    }
}
