//! `#[cache_evict(…)]` and `#[cache_put(…)]` as written.

use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{AngleBracketedGenericArguments, Expr, ExprCall, ExprMethodCall, Path, PathArguments, QSelf, Token};

use super::list::{Written, assigned, flag, items, krate, name, set, word};
use crate::errors::Errors;
use crate::suggest::{nearest, suggestion};

#[derive(Default)]
pub(crate) struct EvictArgs {
    pub(crate) targets: Vec<Target>,
    pub(crate) before: Option<Written<bool>>,
    pub(crate) on: Option<Written<Ident>>,
    pub(crate) krate: Option<Written<Path>>,
}

#[derive(Default)]
pub(crate) struct PutArgs {
    pub(crate) puts: Vec<Put>,
    pub(crate) krate: Option<Written<Path>>,
}

/// `target(args) = value`
pub(crate) struct Put {
    pub(crate) target: Target,
    pub(crate) value: Expr,
}

/// A cached function and which of its entries.
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) selection: Selection,
    pub(crate) span: Span,
}

pub(crate) enum Place {
    /// `path::to::function`; generic arguments stand on the last segment.
    Function(Path),
    /// `self.name`
    Method { receiver: Expr, name: Ident, generics: Option<AngleBracketedGenericArguments> },
    /// `Self::name`, `<Type>::name`
    Associated { ty: TokenStream, name: Ident, generics: Option<AngleBracketedGenericArguments> },
    /// `named("users", …)`
    Named(Expr),
}

pub(crate) enum Selection {
    /// `(..)`
    All,
    One {
        parens: Span,
        args: Vec<Expr>,
    },
}

impl Target {
    /// What the user wrote to be evaluated for it.
    pub(crate) fn expressions(&self) -> TokenStream {
        let place = match &self.place {
            Place::Method { receiver: expr, .. } | Place::Named(expr) => Some(expr),
            Place::Function(_) | Place::Associated { .. } => None,
        };
        let args = match &self.selection {
            Selection::One { args, .. } => &args[..],
            Selection::All => &[],
        };
        quote::quote!(#place, #(#args,)*)
    }
}

impl EvictArgs {
    pub(crate) fn parse(tokens: TokenStream, errors: &Errors) -> Self {
        let mut args = Self::default();
        items(tokens, errors, |input| args.item(input));
        if args.targets.is_empty() && errors.is_empty() {
            errors.at(
                Span::call_site(),
                "nothing to evict: name a cached function, as in `#[cache_evict(user(id), user_list(..))]`",
            );
        }
        args
    }

    fn item(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if let Some(option) = option(input)? {
            return match option.to_string().as_str() {
                "before" => set(&mut self.before, &option, flag(input, &option)?),
                "on" => {
                    let on =
                        assigned(input, &option, "on = always", |input| word(input, &option, &["success", "always"]))?;
                    set(&mut self.on, &option, on)
                }
                "crate" => set(&mut self.krate, &option, krate(input, &option)?),
                "tag" => {
                    assigned(input, &option, "tag = \"user\"", |input| input.parse::<syn::LitStr>())?;
                    let sentence = "tags are not in this version of hybridcache yet: name the functions to evict, as in `user(id)` or `user_list(..)`";
                    Err(syn::Error::new(option.span(), sentence))
                }
                "on_outage" => {
                    assigned(input, &option, "on_outage = fail", |input| word(input, &option, &["queue", "fail"]))?;
                    let sentence = "what becomes of an evict in an outage is up to the cache: write `on_outage = fail` in its `#[cached(…)]`";
                    Err(syn::Error::new(option.span(), sentence))
                }
                unknown => Err(unknown_option(input, &option, unknown)),
            };
        }
        self.targets.push(target(input.parse()?)?);
        Ok(())
    }
}

impl PutArgs {
    pub(crate) fn parse(tokens: TokenStream, errors: &Errors) -> Self {
        let mut args = Self::default();
        items(tokens, errors, |input| args.item(input));
        if args.puts.is_empty() && errors.is_empty() {
            errors.at(Span::call_site(), "nothing to store: name a cached function and the value, as in `#[cache_put(user(id) = result.clone())]`");
        }
        args
    }

    fn item(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if let Some(option) = option(input)? {
            return match option.to_string().as_str() {
                "crate" => set(&mut self.krate, &option, krate(input, &option)?),
                "before" | "on" => {
                    let message = format!("`{option}` is for `#[cache_evict]`: a put is after success, so remove it");
                    Err(syn::Error::new(option.span(), message))
                }
                which => {
                    let message = match nearest(which, &["crate"]) {
                        Some(near) => format!("unknown option `{which}`; did you mean `{near}`?"),
                        None => format!(
                            "say which entry of `{which}`: its arguments in parentheses, as in `{which}(id) = result.clone()`"
                        ),
                    };
                    Err(syn::Error::new(option.span(), message))
                }
            };
        }
        let span = input.span();
        let Expr::Assign(assign) = input.parse()? else {
            return Err(syn::Error::new(span, "say what to store, as in `user(id) = result.clone()`"));
        };
        let target = target(*assign.left)?;
        if let Selection::All = target.selection {
            return Err(syn::Error::new(
                target.span,
                "a value is stored under one key: write the arguments of the cached function instead of `..`",
            ));
        }
        if let Place::Named(_) = target.place {
            let message = "this version of hybridcache cannot put by name: evict with `#[cache_evict(named(…))]`, and the next call loads the new value";
            return Err(syn::Error::new(target.span, message));
        }
        self.puts.push(Put { target, value: *assign.right });
        Ok(())
    }
}

/// The name of an option, if one comes next: a word that is followed by `=` or by nothing.
fn option(input: ParseStream<'_>) -> syn::Result<Option<Ident>> {
    let fork = input.fork();
    let is_option = name(&fork).is_ok_and(|name| name != "self" && name != "Self")
        && (fork.is_empty() || fork.peek(Token![,]) || (fork.peek(Token![=]) && !fork.peek(Token![==])));
    if is_option { name(input).map(Some) } else { Ok(None) }
}

fn unknown_option(input: ParseStream<'_>, option: &Ident, written: &str) -> syn::Error {
    const KNOWN: [&str; 3] = ["before", "on", "crate"];
    let message = match nearest(written, &KNOWN) {
        near if near.is_some() || input.peek(Token![=]) => {
            format!("unknown option `{written}`; {}", suggestion(written, &KNOWN))
        }
        _ => format!(
            "say which entries of `{written}`: `{written}(..)` for all, or its arguments in parentheses for one"
        ),
    };
    syn::Error::new(option.span(), message)
}

fn target(expr: Expr) -> syn::Result<Target> {
    let span = expr.span();
    match expr {
        Expr::Call(call) => call_target(call, span),
        Expr::MethodCall(call) => method_target(call, span),
        Expr::Group(group) => target(*group.expr),
        _ => Err(syn::Error::new(
            span,
            "expected a call of a cached function, as in `user(id)`, `self.user(id)` or `user_list(..)`",
        )),
    }
}

fn method_target(call: ExprMethodCall, span: Span) -> syn::Result<Target> {
    let parens = call.paren_token.span.join();
    Ok(Target {
        place: Place::Method { receiver: *call.receiver, name: call.method, generics: call.turbofish },
        selection: selection(call.args, parens)?,
        span,
    })
}

fn call_target(call: ExprCall, span: Span) -> syn::Result<Target> {
    let parens = call.paren_token.span.join();
    let mut func = *call.func;
    while let Expr::Group(group) = func {
        func = *group.expr;
    }
    let Expr::Path(function) = func else {
        return Err(syn::Error::new(func.span(), "expected the path of a cached function"));
    };
    let mut args = call.args;
    if function.path.is_ident("named") {
        let mut rest = std::mem::take(&mut args).into_iter();
        let Some(name) = rest.next().filter(|name| !is_rest(name)) else {
            return Err(syn::Error::new(span, "`named` takes the name of a cache first, as in `named(\"users\", id)`"));
        };
        return Ok(Target { place: Place::Named(name), selection: selection(rest, parens)?, span });
    }
    Ok(Target { place: function_place(function.qself, function.path)?, selection: selection(args, parens)?, span })
}

fn function_place(qself: Option<QSelf>, mut path: Path) -> syn::Result<Place> {
    let on_self = path.segments.len() == 2 && path.segments[0].ident == "Self";
    if qself.is_none() && !on_self {
        if let Some(owner) = path.segments.iter().rev().nth(1).filter(|owner| looks_like_a_type(&owner.ident)) {
            let message = format!(
                "`{}` looks like a type: a method is named `<{0}>::…`, a free function by the path of its module",
                owner.ident
            );
            return Err(syn::Error::new(owner.ident.span(), message));
        }
        return Ok(Place::Function(path));
    }
    let Some(last) = path.segments.pop() else {
        return Err(syn::Error::new(path.span(), "expected the path of a cached function"));
    };
    let generics = match last.arguments {
        PathArguments::AngleBracketed(generics) => Some(generics),
        _ => None,
    };
    let ty = match qself {
        Some(QSelf { as_token: Some(token), .. }) => {
            return Err(syn::Error::new(
                token.span,
                "a method of a trait has no companion functions: reach its cache by name, as in `named(\"users\", id)`",
            ));
        }
        Some(QSelf { ty, .. }) => quote::quote!(<#ty>),
        None => quote::quote!(Self),
    };
    Ok(Place::Associated { ty, name: last.ident, generics })
}

fn looks_like_a_type(name: &Ident) -> bool {
    name.to_string().starts_with(char::is_uppercase)
}

fn selection(args: impl IntoIterator<Item = Expr>, parens: Span) -> syn::Result<Selection> {
    let args: Vec<Expr> = args.into_iter().collect();
    match args.iter().find(|arg| is_rest(arg)) {
        None => Ok(Selection::One { parens, args }),
        Some(_) if args.len() == 1 => Ok(Selection::All),
        Some(rest) => Err(syn::Error::new(
            rest.span(),
            "`..` stands alone and means every entry; for one entry write all the arguments of its key",
        )),
    }
}

fn is_rest(expr: &Expr) -> bool {
    matches!(expr, Expr::Range(range) if range.start.is_none() && range.end.is_none())
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn evict(tokens: TokenStream) -> (EvictArgs, Vec<String>) {
        let errors = Errors::new();
        let args = EvictArgs::parse(tokens, &errors);
        (args, errors.told())
    }

    fn put(tokens: TokenStream) -> Vec<String> {
        let errors = Errors::new();
        PutArgs::parse(tokens, &errors);
        errors.told()
    }

    #[test]
    fn every_form_of_a_target_is_read() {
        let (args, errors) = evict(quote! {
            user(id, "en"), db::user_list(..), user::<T>(id), self.user(id), self.user::<T>(..), Self::user(id), <Repo<A, B>>::user(id),
            named("users", id, 7), named(NAME, ..), on = always, crate = my::reexport
        });
        assert_eq!(errors, [""; 0]);
        assert_eq!(args.targets.len(), 9);
        assert!(matches!(&args.targets[6].place, Place::Associated { name, .. } if name == "user"));
        assert!(matches!(&args.targets[7].selection, Selection::One { args, .. } if args.len() == 2));
        assert!(matches!(args.targets[8].selection, Selection::All));
        assert!(args.on.is_some_and(|on| on.value == "always"));
    }

    #[test]
    fn mistakes_in_targets_are_told_apart() {
        let (_, errors) = evict(
            quote! { user, befor, on = never, Repo::user(id), user(id, ..), <R as Users>::user(id), named(..), 7, ttl = "1s" },
        );
        assert_eq!(errors.len(), 9, "{errors:#?}");
        assert!(errors[0].contains("`user(..)` for all"));
        assert!(errors[1].contains("did you mean `before`?"));
        assert!(errors[2].contains("there are `success`, `always`"));
        assert!(errors[3].contains("a method is named `<Repo>::…`"));
        assert!(errors[4].contains("`..` stands alone"));
        assert!(errors[5].contains("named(\"users\", id)"));
        assert!(errors[6].contains("takes the name of a cache first"));
        assert!(errors[7].contains("expected a call"));
        assert!(errors[8].contains("unknown option `ttl`; there are `before`"));
    }

    #[test]
    fn tags_wait_for_a_later_version() {
        let (_, errors) = evict(quote! { tag = "tenant:{tenant}", user(id), on_outage = fail });
        assert_eq!(errors.len(), 2, "{errors:#?}");
        assert!(errors[0].contains("tags are not in this version") && errors[1].contains("in its `#[cached(…)]`"));
    }

    #[test]
    fn a_put_needs_one_key_and_a_value() {
        assert_eq!(put(quote! { user(id) = result.clone(), Self::user(id) = |x| x }), [""; 0]);
        assert!(put(quote! { user(id) })[0].contains("say what to store"));
        assert!(put(quote! { user(..) = result.clone() })[0].contains("under one key"));
        assert!(put(quote! { named("users", id) = 7 })[0].contains("cannot put by name"));
        assert!(put(quote! {})[0].contains("nothing to store"));
        assert!(put(quote! { user = result.clone() })[0].contains("as in `user(id) = result.clone()`"));
        assert!(put(quote! { crat = path })[0].contains("did you mean `crate`?"));
        let told = put(quote! { user(id) = 7, before, on = always });
        assert!(told.len() == 2 && told.iter().all(|told| told.contains("is for `#[cache_evict]`")), "{told:#?}");
    }
}
