//! `#[cached(…)]` as written.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, Lit, LitBool, Path, Token, Type};

use super::later;
use super::list::{
    Written, assigned, computed, flag, items, krate, name, name_of, parenthesised, set, unquoted, wanted, word,
};
use super::remote::{self, RemoteArgs};
use super::value::{self, Value};
use crate::errors::Errors;
use crate::suggest::{elsewhere, list, nearest};

/// Every option, as written or not.
#[derive(Default)]
pub(crate) struct CachedArgs {
    pub(crate) ttl: Option<Written<Value<Duration>>>,
    /// Without a value, hits renew the ttl.
    pub(crate) sliding: Option<Written<Option<Value<Duration>>>>,
    pub(crate) max_age: Option<Written<Value<Duration>>>,
    pub(crate) none_ttl: Option<Written<Value<Duration>>>,
    pub(crate) err_ttl: Option<Written<Value<Duration>>>,
    pub(crate) wait_timeout: Option<Written<Value<Duration>>>,
    pub(crate) capacity: Option<Written<Value<u64>>>,
    pub(crate) max_weight: Option<Written<Value<u64>>>,
    pub(crate) max_entry_weight: Option<Written<Value<u64>>>,
    pub(crate) weigh: Option<Written<Expr>>,
    pub(crate) policy: Option<Written<Ident>>,
    pub(crate) jitter: Option<Written<Value<f64>>>,
    pub(crate) refresh_ahead: Option<Written<Value<f64>>>,
    pub(crate) single_flight: Option<Written<Ident>>,
    pub(crate) cache_none: Option<Written<bool>>,
    pub(crate) cache_err: Option<Written<bool>>,
    pub(crate) share_err: Option<Written<Expr>>,
    pub(crate) when: Option<Written<Expr>>,
    pub(crate) store_if: Option<Written<Expr>>,
    pub(crate) key: Option<Written<Vec<KeyPart>>>,
    pub(crate) skip: Option<Written<Vec<Ident>>>,
    pub(crate) name: Option<Written<Expr>>,
    pub(crate) version: Option<Written<Value<u32>>>,
    pub(crate) value: Option<Written<Type>>,
    pub(crate) returns: Option<Written<Ident>>,
    pub(crate) tier: Option<Written<Ident>>,
    pub(crate) remote: RemoteArgs,
    pub(crate) cache: Option<Written<Expr>>,
    pub(crate) handle: Option<Written<Handle>>,
    pub(crate) krate: Option<Written<Path>>,
    /// What could not be read. It is no mistake on top that something else needs it.
    unread: Vec<Ident>,
}

/// One part of `key(…)`.
pub(crate) enum KeyPart {
    Argument(Ident),
    /// `name: Type = expression`
    Computed {
        name: Ident,
        ty: Box<Type>,
        expr: Box<Expr>,
    },
}

/// `handle = …`
pub(crate) enum Handle {
    Named(Ident),
    /// The companion functions go on `Self`: this is an associated function that neither takes nor mentions it.
    OnSelf,
    Without,
}

const OPTIONS: [&str; 29] = [
    "cache",
    "cache_err",
    "cache_none",
    "capacity",
    "crate",
    "err_ttl",
    "handle",
    "jitter",
    "key",
    "max_age",
    "max_entry_weight",
    "max_weight",
    "name",
    "none_ttl",
    "policy",
    "refresh_ahead",
    "returns",
    "share_err",
    "single_flight",
    "skip",
    "sliding",
    "store_if",
    "tier",
    "ttl",
    "value",
    "version",
    "wait_timeout",
    "weigh",
    "when",
];

impl CachedArgs {
    /// Reads as much as can be read; mistakes go to `errors`.
    pub(crate) fn parse(tokens: TokenStream, errors: &Errors) -> Self {
        let mut args = Self::default();
        items(tokens, errors, |input| {
            let name = name(input)?;
            args.option(input, &name).inspect_err(|_| args.unread.push(name))
        });
        args
    }

    fn option(&mut self, input: ParseStream<'_>, name: &Ident) -> syn::Result<()> {
        let expr = |input: ParseStream<'_>| input.parse::<Expr>();
        let example = |value: &str| format!("{name} = {value}");
        match name.to_string().as_str() {
            "ttl" => set(&mut self.ttl, name, assigned(input, name, "ttl = \"60s\"", value::ttl)?),
            "sliding" if !input.peek(Token![=]) => set(&mut self.sliding, name, None),
            "sliding" => {
                set(&mut self.sliding, name, Some(assigned(input, name, "sliding = \"5m\"", value::duration)?))
            }
            "max_age" => set(&mut self.max_age, name, assigned(input, name, "max_age = \"1h\"", value::duration)?),
            "none_ttl" => set(&mut self.none_ttl, name, assigned(input, name, "none_ttl = \"10s\"", value::duration)?),
            "err_ttl" => set(&mut self.err_ttl, name, assigned(input, name, "err_ttl = \"1s\"", value::duration)?),
            "wait_timeout" => {
                set(&mut self.wait_timeout, name, assigned(input, name, "wait_timeout = \"5s\"", value::duration)?)
            }
            "capacity" => set(&mut self.capacity, name, assigned(input, name, "capacity = 10_000", value::count)?),
            "max_weight" => {
                set(&mut self.max_weight, name, assigned(input, name, "max_weight = \"64MiB\"", value::size)?)
            }
            "max_entry_weight" => {
                let weight = assigned(input, name, "max_entry_weight = \"8MiB\"", value::size)?;
                set(&mut self.max_entry_weight, name, weight)
            }
            "weigh" => {
                set(&mut self.weigh, name, assigned(input, name, &example("|_key, value| value.len() as u64"), expr)?)
            }
            "policy" => {
                let known = ["s3fifo", "lru", "lfu", "fifo", "mru", "clock", "adaptive"];
                let policy = assigned(input, name, "policy = s3fifo", |input| word(input, name, &known))?;
                set(&mut self.policy, name, policy)
            }
            "jitter" => set(&mut self.jitter, name, assigned(input, name, "jitter = \"10%\"", value::fraction)?),
            "refresh_ahead" => {
                set(&mut self.refresh_ahead, name, assigned(input, name, "refresh_ahead = 0.8", value::fraction)?)
            }
            "single_flight" => {
                let known = ["process", "fleet", "off"];
                let mode = assigned(input, name, "single_flight = process", |input| word(input, name, &known))?;
                set(&mut self.single_flight, name, mode)
            }
            "cache_none" => set(&mut self.cache_none, name, flag(input, name)?),
            "cache_err" => set(&mut self.cache_err, name, flag(input, name)?),
            "share_err" => {
                set(&mut self.share_err, name, assigned(input, name, &example("|error| error.duplicate()"), expr)?)
            }
            "when" => set(&mut self.when, name, assigned(input, name, &example("id != 0"), expr)?),
            "store_if" => {
                set(&mut self.store_if, name, assigned(input, name, &example("|value| !value.is_empty()"), expr)?)
            }
            "key" => set(
                &mut self.key,
                name,
                parenthesised(input, name, "key(id, lang: String = lang.to_lowercase())", key_part)?,
            ),
            "skip" => set(
                &mut self.skip,
                name,
                parenthesised(input, name, "skip(pool, ctx)", |input| {
                    unquoted(input, |text| format!("skip({text})"))?;
                    input.call(Ident::parse_any)
                })?,
            ),
            "name" => set(&mut self.name, name, assigned(input, name, "name = \"users\"", text)?),
            "version" => set(&mut self.version, name, assigned(input, name, "version = 2", value::version)?),
            "value" => {
                let value = assigned(input, name, "value = User", |input| {
                    unquoted(input, |text| format!("value = {text}"))?;
                    input.parse()
                })?;
                set(&mut self.value, name, value)
            }
            "returns" => {
                let known = ["result", "option", "plain"];
                set(
                    &mut self.returns,
                    name,
                    assigned(input, name, "returns = result", |input| word(input, name, &known))?,
                )
            }
            "tier" => {
                let tier: Expr = assigned(input, name, "tier = hybrid", |input| input.parse())?;
                match tier_word(&tier)? {
                    Some(word) => set(&mut self.tier, name, word),
                    None => Err(syn::Error::new(tier.span(), later::TIER)),
                }
            }
            "cache" => set(&mut self.cache, name, assigned(input, name, "cache = self.users", expr)?),
            "handle" => set(&mut self.handle, name, assigned(input, name, "handle = users", handle)?),
            "crate" => set(&mut self.krate, name, krate(input, name)?),
            unknown => {
                if let Some(read) = self.remote.option(input, name) {
                    return read;
                }
                if let Some(sentence) = later::option(input, name)? {
                    return Err(syn::Error::new(name.span(), sentence));
                }
                let (meant, error) = unknown_option(name, unknown);
                self.unread.extend(meant.map(|meant| Ident::new(meant, name.span())));
                // A closure in its value has commas of its own, behind which no option begins.
                let _ = input.parse::<Token![=]>().and_then(|_| expr(input));
                Err(error)
            }
        }
    }

    /// Whether the entries live in a tier that several processes share.
    pub(crate) fn is_remote(&self) -> bool {
        self.tier.as_ref().is_some_and(|tier| tier.value != "memory")
    }

    /// The option that has `None`s kept, if there is one.
    pub(crate) fn keeps_none(&self) -> Option<&Ident> {
        wanted(&self.cache_none).or(name_of(&self.none_ttl))
    }

    /// The option that has errors kept, if there is one.
    pub(crate) fn keeps_errors(&self) -> Option<&Ident> {
        wanted(&self.cache_err).or(name_of(&self.err_ttl))
    }

    /// The expressions that say how long, how often and how much, with the options they stand in.
    pub(crate) fn computed(&self) -> impl Iterator<Item = (&Ident, &Expr)> {
        let sliding =
            self.sliding.as_ref().and_then(|sliding| Some((&sliding.name, sliding.value.as_ref()?.computed()?)));
        let options = [
            sliding,
            computed(&self.ttl),
            computed(&self.max_age),
            computed(&self.none_ttl),
            computed(&self.err_ttl),
            computed(&self.wait_timeout),
            computed(&self.capacity),
            computed(&self.max_weight),
            computed(&self.max_entry_weight),
            computed(&self.jitter),
            computed(&self.refresh_ahead),
            computed(&self.version),
        ];
        options.into_iter().flatten().chain(self.remote.computed())
    }

    /// Whether an option of this name was written that could not be read.
    pub(crate) fn left_unread(&self, option: &str) -> bool {
        self.unread.iter().any(|name| name == option)
    }
}

/// The option that was meant, if one is near, and what to say.
fn unknown_option(name: &Ident, unknown: &str) -> (Option<&'static str>, syn::Error) {
    let known: Vec<&str> = OPTIONS.into_iter().chain(remote::OPTIONS).collect();
    let all: Vec<&str> = known.iter().copied().chain(later::OPTIONS).collect();
    let (meant, hint) = match (elsewhere(unknown), nearest(unknown, &all)) {
        (Some(here), _) => (Some(here), format!("it is called `{here}` here")),
        (None, Some(near)) => (Some(near), format!("did you mean `{near}`?")),
        (None, None) => (None, format!("there are {}", list(&known))),
    };
    (meant, syn::Error::new(name.span(), format!("unknown option `{unknown}`; {hint}")))
}

/// The word of a tier that comes with the runtime; nothing for an expression.
fn tier_word(tier: &Expr) -> syn::Result<Option<Ident>> {
    const TIERS: [&str; 3] = ["memory", "hybrid", "redis"];
    let word = match tier {
        Expr::Path(path) => path.path.get_ident(),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            let message = format!("a tier is a name without quotes: `tier = {}`", text.value());
            return Err(syn::Error::new(text.span(), message));
        }
        _ => None,
    };
    let Some(word) = word else {
        return Ok(None);
    };
    if TIERS.iter().any(|tier| word == tier) {
        return Ok(Some(word.clone()));
    }
    match nearest(&word.to_string(), &TIERS) {
        Some(near) => {
            Err(syn::Error::new(word.span(), format!("`{word}` is not a value of `tier`; did you mean `{near}`?")))
        }
        None => Ok(None),
    }
}

/// A text, or an expression that gives one.
fn text(input: ParseStream<'_>) -> syn::Result<Expr> {
    let expr: Expr = input.parse()?;
    match &expr {
        Expr::Lit(ExprLit { lit, .. }) if !matches!(lit, Lit::Str(_)) => {
            Err(syn::Error::new(lit.span(), "a name is a string, as in `name = \"users\"`"))
        }
        _ => Ok(expr),
    }
}

fn key_part(input: ParseStream<'_>) -> syn::Result<KeyPart> {
    unquoted(input, |text| format!("key({text})"))?;
    let name = input.call(Ident::parse_any).map_err(|other| {
        syn::Error::new(other.span(), "a part of the key is the name of an argument, or `name: Type = expression`")
    })?;
    if input.parse::<Option<Token![:]>>()?.is_none() {
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(KeyPart::Argument(name));
        }
        let message = format!(
            "a computed part of the key states its owned type: write `{name}: Type = expression`, or `{name}` for the argument"
        );
        return Err(syn::Error::new(name.span(), message));
    }
    let ty = Box::new(input.parse()?);
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(
            name.span(),
            format!("write `{name}: Type = expression`, or `{name}` for the argument as it is"),
        ));
    }
    input.parse::<Token![=]>()?;
    Ok(KeyPart::Computed { name, ty, expr: Box::new(input.parse()?) })
}

fn handle(input: ParseStream<'_>) -> syn::Result<Handle> {
    if input.peek(LitBool) {
        let literal: LitBool = input.parse()?;
        return match literal.value {
            false => Ok(Handle::Without),
            true => Err(syn::Error::new(
                literal.span,
                "there is a handle by default: give it a name, say `handle = false`, or remove this",
            )),
        };
    }
    if input.peek(Token![Self]) {
        return input.parse::<Token![Self]>().map(|_| Handle::OnSelf);
    }
    unquoted(input, |text| format!("handle = {text}"))?;
    input.parse().map(Handle::Named)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn parse(tokens: TokenStream) -> (CachedArgs, Vec<String>) {
        let errors = Errors::new();
        let args = CachedArgs::parse(tokens, &errors);
        (args, errors.told())
    }

    #[test]
    fn every_option_of_this_version_is_read() {
        let (args, errors) = parse(quote! {
            ttl = "60s", sliding = LIFE / 2, max_age = "1h", tier = memory, capacity = 10_000, max_weight = "64MiB", max_entry_weight = "8MiB",
            weigh = |_, value| value.len() as u64, policy = s3fifo, key(id, lang: String = lang.to_lowercase()), skip(self, pool),
            name = "users", version = 2, value = User, returns = result, when = id > 0, store_if = |v| v.ok, cache_err,
            cache_none = true, none_ttl = "10s", err_ttl = "1s", share_err = |e| e.copy(), jitter = "10%", refresh_ahead = 0.8,
            single_flight = fleet, wait_timeout = "5s", cache = &self.users, handle = users, crate = my::reexport, codec = json,
        });
        assert_eq!(errors, [""; 0]);
        assert!(args.sliding.is_some_and(|sliding| sliding.value.is_some()));
        assert_eq!(args.key.unwrap().value.len(), 2);
        assert_eq!(args.skip.unwrap().value.len(), 2);
        assert!(args.krate.is_some() && args.wait_timeout.is_some() && args.handle.is_some());
    }

    #[test]
    fn options_of_later_versions_are_read_and_refused() {
        let (_, errors) = parse(quote! {
            tier = MyDriver::new(), tags("user", "tenant:{tenant}"), stale_while_revalidate = "30s", stale_if_error = "1h",
            soft_timeout = "50ms", hard_timeout = "2s"
        });
        assert_eq!(errors.len(), 6, "{errors:#?}");
        assert!(errors[0].contains("`tier = redis`"));
        assert!(errors.iter().all(|sentence| sentence.contains("this version of hybridcache")));
    }

    #[test]
    fn several_mistakes_are_reported_at_once() {
        let (args, errors) =
            parse(quote! { tll = "5m", ttl = "5 parsecs", sliding, sliding, policy = lur, capacity, jitter = "10%" });
        assert_eq!(errors.len(), 5, "{errors:#?}");
        assert_eq!(errors[0], "unknown option `tll`; did you mean `ttl`?");
        assert!(errors[1].contains("not a unit of time"));
        assert_eq!(errors[2], "`sliding` is given twice: keep one of them");
        assert_eq!(errors[3], "`lur` is not a value of `policy`; did you mean `lru`?");
        assert_eq!(errors[4], "`capacity` needs a value, as in `capacity = 10_000`");
        assert!(args.jitter.is_some(), "reading goes on behind a mistake");
        assert_eq!(parse(quote!(tier = hybird)).1, ["`hybird` is not a value of `tier`; did you mean `hybrid`?"]);
    }

    #[test]
    fn a_computed_key_part_needs_its_type() {
        let (_, errors) = parse(quote! { key(lang = lang.to_lowercase()) });
        assert!(errors[0].contains("write `lang: Type = expression`"));
        let (_, errors) = parse(quote! { ttl = "1s" sliding });
        assert_eq!(errors, ["expected `,`"]);
    }
}
