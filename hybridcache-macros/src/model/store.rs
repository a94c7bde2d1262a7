//! Which store a function uses, and how it is configured.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::Expr;
use syn::ext::IdentExt as _;

use super::{Crate, wanted};
use crate::args::cached::CachedArgs;
use crate::args::list::Written;
use crate::args::value::FOREVER;
use crate::function::Function;

/// Where the entries live.
pub(crate) enum Store {
    /// In a store of the function's own.
    Own { name: Name, settings: Vec<Setting> },
    /// In the cache that this expression gives.
    Given(Expr),
}

/// What the store is called.
pub(crate) enum Name {
    Written(Expr),
    /// Behind the path of the module.
    InModule(String),
    /// Behind the name of the type.
    OnSelf(String),
}

/// One call on the builder.
pub(crate) struct Setting {
    /// Has the span of the option, so that editors show what the builder says about it.
    pub(crate) method: Ident,
    pub(crate) argument: TokenStream,
}

impl Store {
    pub(crate) fn of(function: &Function, args: &CachedArgs, krate: &Crate, on_self: bool) -> Self {
        if let Some(cache) = &args.cache {
            return Self::Given(cache.value.clone());
        }
        let own = function.sig.ident.unraw().to_string();
        let name = match &args.name {
            Some(name) => Name::Written(name.value.clone()),
            None if on_self => Name::OnSelf(own),
            None => Name::InModule(own),
        };
        Self::Own { name, settings: settings(args, krate) }
    }
}

/// In the order of the table in the documentation.
fn settings(args: &CachedArgs, krate: &Crate) -> Vec<Setting> {
    let root = krate.root();
    let mut settings = Vec::new();
    let mut set = |method: &str, name: &Ident, argument: TokenStream| {
        settings.push(Setting { method: format_ident!("{method}", span = name.span()), argument });
    };
    let ttl = args.ttl.as_ref().filter(|ttl| ttl.value.known() != Some(FOREVER));
    match (ttl, &args.sliding) {
        (Some(ttl), Some(Written { name, value: None })) => set("sliding", name, ttl.value.to_token_stream()),
        (ttl, sliding) => {
            if let Some(ttl) = ttl {
                set("ttl", &ttl.name, ttl.value.to_token_stream());
            }
            if let Some(Written { name, value: Some(sliding) }) = sliding {
                set("sliding", name, sliding.to_token_stream());
            }
        }
    }
    let mut each = |method: &str, option: Option<(&Ident, TokenStream)>| {
        if let Some((name, argument)) = option {
            set(method, name, argument);
        }
    };
    each("max_age", written(&args.max_age));
    each("capacity", written(&args.capacity));
    each("max_weight", written(&args.max_weight));
    each("weigher", written(&args.weigh));
    let variant = |policy: &Ident| {
        let name = match policy.to_string().as_str() {
            "lru" => "Lru",
            "lfu" => "Lfu",
            "fifo" => "Fifo",
            "mru" => "Mru",
            "clock" => "Clock",
            "adaptive" => "Adaptive",
            _ => "S3Fifo",
        };
        let name = format_ident!("{name}", span = policy.span());
        quote!(#root::Policy::#name)
    };
    each("policy", args.policy.as_ref().map(|policy| (&policy.name, variant(&policy.value))));
    each("version", written(&args.version));
    each("store_if", written(&args.store_if));
    let negative = |flag, lifetime| wanted(flag).or(lifetime).map(|name| (name, quote!(true)));
    each("cache_none", negative(&args.cache_none, args.none_ttl.as_ref().map(|ttl| &ttl.name)));
    each("none_ttl", written(&args.none_ttl));
    each("cache_err", negative(&args.cache_err, args.err_ttl.as_ref().map(|ttl| &ttl.name)));
    each("err_ttl", written(&args.err_ttl));
    each("jitter", written(&args.jitter));
    each("refresh_ahead", written(&args.refresh_ahead));
    let mode = |mode: &Ident| {
        if mode == "off" { quote!(#root::SingleFlight::Off) } else { quote!(#root::SingleFlight::Process) }
    };
    each("single_flight", args.single_flight.as_ref().map(|single| (&single.name, mode(&single.value))));
    each("wait_timeout", written(&args.wait_timeout));
    settings
}

fn written<T: ToTokens>(option: &Option<Written<T>>) -> Option<(&Ident, TokenStream)> {
    option.as_ref().map(|written| (&written.name, written.value.to_token_stream()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Errors;

    fn calls(tokens: TokenStream) -> String {
        let errors = Errors::new();
        let args = CachedArgs::parse(tokens, &errors);
        errors.finish().unwrap();
        let calls = settings(&args, &Crate::of(None))
            .into_iter()
            .map(|setting| format!(".{}({})", setting.method, setting.argument));
        calls.collect::<String>().replace(' ', "").replace("::core::time::Duration::", "")
    }

    #[test]
    fn sliding_alone_renews_the_ttl() {
        assert_eq!(calls(quote!(ttl = "60s", sliding)), ".sliding(from_secs(60))");
        assert_eq!(calls(quote!(ttl = "1h", sliding = "5m")), ".ttl(from_secs(3600)).sliding(from_secs(300))");
        assert_eq!(calls(quote!(sliding = "5m", max_age = "1h")), ".sliding(from_secs(300)).max_age(from_secs(3600))");
        assert_eq!(calls(quote!(ttl = "forever")), "");
    }

    #[test]
    fn each_policy_has_its_name() {
        for (word, variant) in
            [("s3fifo", "S3Fifo"), ("lru", "Lru"), ("lfu", "Lfu"), ("fifo", "Fifo"), ("mru", "Mru"), ("clock", "Clock")]
        {
            let word = format_ident!("{word}");
            assert_eq!(calls(quote!(policy = #word)), format!(".policy(::hybridcache::Policy::{variant})"));
        }
    }

    #[test]
    fn a_negative_lifetime_implies_its_flag() {
        assert_eq!(calls(quote!(none_ttl = "1s")), ".cache_none(true).none_ttl(from_secs(1))");
        assert_eq!(calls(quote!(err_ttl = "1s", cache_err)), ".cache_err(true).err_ttl(from_secs(1))");
        assert_eq!(calls(quote!(cache_none = false)), "");
    }
}
