//! What the attributes expand to, formatted.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::attribute;

mod functions;
mod methods;
mod writes;

fn pretty(tokens: TokenStream) -> String {
    let file = syn::parse2(tokens.clone()).unwrap_or_else(|error| panic!("{error} in {tokens}"));
    prettyplease::unparse(&file)
}

fn cached(args: TokenStream, item: TokenStream) -> String {
    pretty(attribute::cached(args, item))
}

/// The wrapper, and of what stands beside it the functions with these names.
fn parts(args: TokenStream, item: TokenStream, names: &[&str]) -> String {
    let file: syn::File = syn::parse2(attribute::cached(args, item)).unwrap();
    let (wrapper, rest) = file.items.split_first().unwrap();
    let functions = rest.iter().flat_map(|item| match item {
        syn::Item::Impl(block) => block.items.clone(),
        _ => Vec::new(),
    });
    let named = |item: &syn::ImplItem| matches!(item, syn::ImplItem::Fn(function) if names.iter().any(|name| function.sig.ident == name));
    let functions = functions.filter(named).map(ToTokens::into_token_stream);
    pretty(std::iter::once(wrapper.to_token_stream()).chain(functions).collect())
}

/// Items that stand in an impl, without its frame.
fn inside(items: TokenStream) -> String {
    let text = pretty(quote!(impl Repo { #items }));
    let lines: Vec<&str> = text.lines().collect();
    lines[1..lines.len() - 1].iter().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
}

/// The first function of an expansion: the wrapper.
fn wrapper(text: &str) -> String {
    text.split_inclusive("\n}\n").next().unwrap_or_default().to_owned()
}

#[test]
fn attributes_go_where_they_belong() {
    let item = quote! {
        #[cfg(unix)]
        #[tracing::instrument]
        #[expect(clippy::too_many_lines)]
        pub(crate) fn user(_ctx: u8, id: u64) -> u64 { id }
    };
    let text = cached(quote!(skip(_ctx)), item);
    assert_eq!(text.matches("#[cfg(unix)]").count(), 4, "the function, the struct and its impls: {text}");
    assert_eq!(text.matches("#[tracing::instrument]").count(), 1);
    assert!(!text.contains("#[expect("), "which part of them fulfils it depends on the lint: {text}");
    assert_eq!(text.matches("#[allow(clippy::too_many_lines)]").count(), 3, "the function, the verbs and the body");
    assert!(text.contains("#[allow(clippy::used_underscore_binding)]"));
}

#[test]
fn what_is_said_of_a_function_is_said_of_its_companions() {
    let said = quote! { #[doc(hidden)] #[doc(cfg(unix))] #[doc(alias = "load")] #[deprecated] #[must_use] };
    let text = cached(quote!(), quote! { #said pub fn user(id: u64) -> u64 { id } });
    let count = |text: &str, attr: &str| text.matches(attr).count();
    assert_eq!(count(&text, "#[doc(cfg(unix))]"), 2, "the function and the struct: {text}");
    assert_eq!(count(&text, "#[doc(hidden)]"), 3, "these and what is hidden anyway: {text}");
    assert_eq!(count(&text, "#[doc(alias"), 1, "it is found once: {text}");
    assert_eq!(count(&text, "#[deprecated]"), 3, "what runs the body: {text}");
    assert_eq!(count(&text, "#[must_use]"), 2, "what does nothing but that: {text}");
    let text =
        inside(attribute::cached(quote!(skip(self)), quote! { #said pub fn user(&self, id: u64) -> u64 { id } }));
    assert_eq!(count(&text, "#[doc(cfg(unix))]"), 3, "the method, its cache and its key: {text}");
    assert_eq!(count(&text, "#[deprecated]"), 1, "only that runs the body: {text}");
}

/// What a reader of `cargo expand` has to go through, beside what he wrote and the verbs that he can call.
#[test]
fn an_expansion_is_short() {
    let item = quote! {
        pub async fn user(id: u64, lang: &str) -> Result<User, DbError> {
            db().user(id, lang).await
        }
    };
    let text = cached(quote!(ttl = "60s"), item);
    let file: syn::File = syn::parse_str(&text).unwrap();
    let verbs = ["evict", "put", "write", "peek", "refresh", "clear", "stats", "cache", "key", "uncached"];
    let is_verb = |item: &syn::ImplItem| matches!(item, syn::ImplItem::Fn(function) if verbs.iter().any(|verb| function.sig.ident == verb));
    let rest = file.items.into_iter().filter_map(|item| match item {
        syn::Item::Impl(mut block) => {
            block.items.retain(|item| !is_verb(item));
            (!block.items.is_empty()).then_some(syn::Item::Impl(block))
        }
        item => Some(item),
    });
    let rest = pretty(rest.map(|item| quote!(#item)).collect());
    let lines = rest.lines().count();
    assert!(lines <= 35, "{lines} lines:\n{rest}");
}
