//! What an attribute means for the function below it. Nothing is optional here that has a default.

pub(crate) mod key;
pub(crate) mod returns;
pub(crate) mod shape;
pub(crate) mod store;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Expr, Path};

use crate::args::cached::{CachedArgs, Handle};
use crate::args::list::Written;
use crate::errors::Errors;
use crate::function::{Flow, Function};
use key::Key;
use returns::Returns;
use store::Store;

/// A cached function.
pub(crate) struct Cached<'a> {
    pub(crate) function: &'a Function,
    pub(crate) krate: Crate,
    pub(crate) flow: Flow,
    pub(crate) returns: Returns,
    pub(crate) key: Key,
    pub(crate) store: Store,
    pub(crate) share: Share,
    /// Calls for which this is false go past the cache.
    pub(crate) when: Option<Expr>,
    /// Entries are loaded anew behind the caller before they expire.
    pub(crate) ahead: bool,
    pub(crate) companions: Companions,
}

/// How those who wait for a load get its error.
pub(crate) enum Share {
    /// As the error type allows.
    ByType,
    With(Expr),
    /// By clone; the option that demands it has this name.
    Cloned(Ident),
}

/// What stands beside the function, for others to reach its cache.
pub(crate) enum Companions {
    /// A struct with the verbs, beside a free function.
    Struct(Ident),
    /// Functions whose names begin so, beside a method.
    Functions(Ident),
    Nothing,
}

impl<'a> Cached<'a> {
    pub(crate) fn of(function: &'a Function, args: &CachedArgs, errors: &Errors) -> Option<Self> {
        let krate = Crate::of(args.krate.as_ref());
        let companions = companions(function, args);
        // Both are computed before either is given up, so that both report.
        let returns = Returns::of(function, args, &krate, errors);
        let key = Key::of(function, args, errors);
        let store = Store::of(function, args, &krate);
        let share = match (&args.share_err, args.keeps_errors()) {
            (Some(share), _) => Share::With(share.value.clone()),
            (None, Some(name)) => Share::Cloned(name.clone()),
            (None, None) => Share::ByType,
        };
        Some(Self {
            function,
            flow: function.flow(),
            returns: returns?,
            key: key?,
            store,
            share,
            when: args.when.as_ref().map(|when| when.value.clone()),
            ahead: args.refresh_ahead.is_some(),
            companions,
            krate,
        })
    }
}

fn companions(function: &Function, args: &CachedArgs) -> Companions {
    let own_name = || function.sig.ident.clone();
    match args.handle.as_ref().map(|handle| &handle.value) {
        Some(Handle::Without) => Companions::Nothing,
        Some(Handle::OnSelf) => Companions::Functions(own_name()),
        Some(Handle::Named(name)) if function.is_method() => Companions::Functions(name.clone()),
        Some(Handle::Named(name)) => Companions::Struct(name.clone()),
        None if !function.is_method() => Companions::Struct(own_name()),
        None if function.has_visibility() => Companions::Functions(own_name()),
        // A method without a visibility may stand in the impl of a trait, where nothing can be added.
        None => Companions::Nothing,
    }
}

/// Where the runtime is found.
pub(crate) struct Crate {
    root: TokenStream,
}

impl Crate {
    pub(crate) fn of(written: Option<&Written<Path>>) -> Self {
        Self { root: written.map_or_else(|| quote!(::hybridcache), |written| written.value.to_token_stream()) }
    }

    /// The runtime crate.
    pub(crate) fn root(&self) -> &TokenStream {
        &self.root
    }

    /// What the runtime has for expansions only.
    pub(crate) fn private(&self) -> TokenStream {
        let root = &self.root;
        quote!(#root::__private)
    }

    /// The same, for an expression whose errors are to point at what the user wrote.
    pub(crate) fn private_at(&self, span: Span) -> TokenStream {
        located(self.private(), span)
    }

    /// What only some builds of the runtime have, by its name. Without it that is said where the name stands.
    pub(crate) fn needs(&self, name: &Ident, arguments: &TokenStream) -> TokenStream {
        let root = located(self.root.clone(), name.span());
        let exported = format_ident!("__{}", name);
        quote_spanned!(name.span()=> #root::#exported!(#arguments))
    }
}

fn located(tokens: TokenStream, span: Span) -> TokenStream {
    let located = |mut token: TokenTree| {
        token.set_span(token.span().located_at(span));
        token
    };
    tokens.into_iter().map(located).collect()
}
