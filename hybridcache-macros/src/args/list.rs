//! A list of options, read one by one so that one mistake does not hide the next.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, LitBool, LitStr, Path, Token, parenthesized};

use super::value::Value;
use crate::errors::Errors;
use crate::suggest::suggestion;

/// An option that was written: its name (for what is wrong with having it) and its value.
#[derive(Clone)]
pub(crate) struct Written<T> {
    pub(crate) name: Ident,
    pub(crate) value: T,
}

impl<T> Written<T> {
    pub(crate) fn span(&self) -> Span {
        self.name.span()
    }
}

/// The name of an option, if it was written.
pub(crate) fn name_of<T>(option: &Option<Written<T>>) -> Option<&Ident> {
    option.as_ref().map(|written| &written.name)
}

/// The name of a flag that was written and is not `= false`.
pub(crate) fn wanted(flag: &Option<Written<bool>>) -> Option<&Ident> {
    flag.as_ref().filter(|flag| flag.value).map(|flag| &flag.name)
}

/// The expression that an option is given by, with its name.
pub(super) fn computed<T: Copy>(option: &Option<Written<Value<T>>>) -> Option<(&Ident, &Expr)> {
    let Written { name, value } = option.as_ref()?;
    value.computed().map(|expr| (name, expr))
}

/// Reads the comma-separated items of an attribute. After a mistake it goes on behind the next comma.
pub(crate) fn items(tokens: TokenStream, errors: &Errors, mut item: impl FnMut(ParseStream<'_>) -> syn::Result<()>) {
    let all = |input: ParseStream<'_>| {
        while !input.is_empty() {
            if errors.keep(item(input)).is_some() && !input.is_empty() && !input.peek(Token![,]) {
                errors.at(input.span(), "expected `,`");
            }
            while !input.is_empty() && !input.peek(Token![,]) {
                input.parse::<TokenTree>()?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    errors.keep(all.parse2(tokens));
}

pub(crate) fn name(input: ParseStream<'_>) -> syn::Result<Ident> {
    input
        .call(Ident::parse_any)
        .map_err(|error| syn::Error::new(error.span(), "expected the name of an option, as in `ttl = \"60s\"`"))
}

/// `name = value`.
pub(crate) fn assigned<T>(
    input: ParseStream<'_>,
    name: &Ident,
    example: &str,
    value: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<T> {
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(name.span(), format!("`{name}` needs a value, as in `{example}`")));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(name.span(), format!("`{name}` needs a value, as in `{example}`")));
    }
    value(input)
}

/// `name`, `name = true` or `name = false`.
pub(crate) fn flag(input: ParseStream<'_>, name: &Ident) -> syn::Result<bool> {
    if input.parse::<Option<Token![=]>>()?.is_none() {
        return Ok(true);
    }
    let flag: syn::Result<LitBool> = input.parse();
    match flag {
        Ok(flag) => Ok(flag.value),
        Err(error) => Err(syn::Error::new(
            error.span(),
            format!("`{name}` stands alone: write `{name}`, `{name} = true` or `{name} = false`"),
        )),
    }
}

/// `name(a, b, …)`.
pub(crate) fn parenthesised<T>(
    input: ParseStream<'_>,
    name: &Ident,
    example: &str,
    part: fn(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<Vec<T>> {
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(name.span(), format!("`{name}` takes a list, as in `{example}`")));
    }
    let content;
    parenthesized!(content in input);
    let parts = content.parse_terminated(part, Token![,]);
    if parts.is_err() {
        // What is left unread in parentheses would be reported as a mistake of its own.
        content.parse::<TokenStream>()?;
    }
    Ok(parts?.into_iter().collect())
}

/// One of some words.
pub(crate) fn word(input: ParseStream<'_>, name: &Ident, known: &[&str]) -> syn::Result<Ident> {
    unquoted(input, |text| format!("{name} = {text}"))?;
    let word = input.call(Ident::parse_any)?;
    if known.iter().any(|known| word == known) {
        return Ok(word);
    }
    let hint = suggestion(&word.to_string(), known);
    Err(syn::Error::new(word.span(), format!("`{word}` is not a value of `{name}`; {hint}")))
}

/// Where the runtime is found.
pub(super) fn krate(input: ParseStream<'_>, name: &Ident) -> syn::Result<Path> {
    assigned(input, name, "crate = ::hybridcache", |input| {
        unquoted(input, |text| format!("crate = {text}"))?;
        input.call(Path::parse_mod_style)
    })
}

/// Sees to it that no text stands where a name belongs; `written` is the option with the name.
pub(super) fn unquoted(input: ParseStream<'_>, written: impl FnOnce(String) -> String) -> syn::Result<()> {
    match input.parse::<Option<LitStr>>()? {
        Some(text) => {
            let message = format!("names stand here without quotes: write `{}`", written(text.value()));
            Err(syn::Error::new(text.span(), message))
        }
        None => Ok(()),
    }
}

/// Notes an option, once.
pub(crate) fn set<T>(slot: &mut Option<Written<T>>, name: &Ident, value: T) -> syn::Result<()> {
    if slot.is_some() {
        return Err(twice(name));
    }
    *slot = Some(Written { name: name.clone(), value });
    Ok(())
}

pub(crate) fn twice(name: &Ident) -> syn::Error {
    syn::Error::new(name.span(), format!("`{name}` is given twice: keep one of them"))
}
