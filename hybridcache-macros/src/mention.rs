//! Which names an expression mentions, told from its tokens.

use proc_macro2::{Ident, Spacing, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;

/// Whether the tokens mention a variable of this name, also inside a format string (`"{name}"`).
///
/// Fields, methods and path segments of the same name do not count. A closure parameter of the same name does: nobody is harmed
/// when a key is thought to depend on one argument more.
pub(crate) fn mentions(tokens: &TokenStream, name: &Ident) -> bool {
    mention(tokens, name).is_some()
}

/// Where the tokens mention a variable of this name first. What comes through `macro_rules!` sees only what is named from there.
pub(crate) fn mention(tokens: &TokenStream, name: &Ident) -> Option<Span> {
    first(tokens.clone(), &name.unraw().to_string())
}

/// Whether this word appears anywhere, whatever it stands for.
pub(crate) fn has_word(tokens: &TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => has_word(&group.stream(), word),
        _ => false,
    })
}

/// Whether one of these lifetimes (without their tick) appears.
pub(crate) fn mentions_lifetime(tokens: &TokenStream, names: &[Ident]) -> bool {
    let mut tick = false;
    tokens.clone().into_iter().any(|token| {
        let found = match &token {
            TokenTree::Ident(ident) => tick && names.contains(ident),
            TokenTree::Group(group) => mentions_lifetime(&group.stream(), names),
            _ => false,
        };
        tick = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '\'');
        found
    })
}

fn first(tokens: TokenStream, name: &str) -> Option<Span> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let punct = |index: Option<usize>, mark: char| matches!(index.and_then(|index| tokens.get(index)), Some(TokenTree::Punct(punct)) if punct.as_char() == mark);
    tokens.iter().enumerate().find_map(|(i, token)| match token {
        TokenTree::Group(group) => first(group.stream(), name),
        TokenTree::Literal(literal) => captures(&literal.to_string(), name).then(|| literal.span()),
        TokenTree::Punct(_) => None,
        TokenTree::Ident(ident) => {
            // `..name` is a range, `.name` a field.
            let after_dot = punct(i.checked_sub(1), '.') && !punct(i.checked_sub(2), '.');
            let after_path = punct(i.checked_sub(1), ':') && punct(i.checked_sub(2), ':');
            let lifetime = matches!(
                i.checked_sub(1).and_then(|before| tokens.get(before)),
                Some(TokenTree::Punct(punct)) if punct.as_char() == '\'' && punct.spacing() == Spacing::Joint
            );
            // `name:` is the field of a struct expression, `name::` a module or a type.
            let named = punct(Some(i + 1), ':');
            (!after_dot && !after_path && !lifetime && !named && ident.unraw() == name).then(|| ident.span())
        }
    })
}

/// Whether a format string captures the variable: `{name}`, `{name:…}`, or as a width or a precision, `{…:>name$}`.
fn captures(literal: &str, name: &str) -> bool {
    literal.contains('"')
        && literal.match_indices(name).any(|(at, _)| {
            let (before, behind) = (&literal[..at], &literal[at + name.len()..]);
            before.ends_with('{') && behind.starts_with(['}', ':'])
                || behind.starts_with('$') && !before.ends_with(|c: char| c == '_' || c.is_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use quote::{format_ident, quote};

    use super::*;

    fn found(tokens: TokenStream) -> bool {
        mentions(&tokens, &format_ident!("id"))
    }

    #[test]
    fn variables_and_captures_are_mentions() {
        assert!(found(quote!(id.to_string())));
        assert!(found(quote!(lookup(&[0, id]))));
        assert!(found(quote!(0..id)));
        assert!(found(quote!(format!("{id:>4}"))));
        assert!(found(quote!(format!("{:>id$}", 1))) && found(quote!(format!("{text:.id$}"))));
        assert!(found(quote!(Point { id: id })));
    }

    #[test]
    fn fields_paths_and_other_text_are_not() {
        assert!(!found(quote!(user.id)));
        assert!(!found(quote!(id::next())));
        assert!(!found(quote!(table::id)));
        assert!(!found(quote!(format!("id {{}} {identity} {:>valid$}", 1))));
        assert!(!found(quote!(Point { id: 1 })));
    }

    #[test]
    fn lifetimes_are_found_by_their_name() {
        let names = [format_ident!("a")];
        assert!(mentions_lifetime(&quote!(T: Load<'a>), &names));
        assert!(!mentions_lifetime(&quote!(a: Load<'b>), &names));
    }
}
