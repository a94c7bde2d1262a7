//! Which store a function uses, and how it is configured.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::Expr;
use syn::ext::IdentExt as _;

use super::Crate;
use crate::args::cached::CachedArgs;
use crate::args::list::Written;
use crate::args::remote::{Codec as WrittenCodec, Compress, RemoteArgs};
use crate::args::value::FOREVER;
use crate::function::Function;

/// Where the entries live.
pub(crate) enum Store {
    /// In a store of the function's own.
    Own { name: Name, settings: Vec<Setting>, remote: Option<Box<Remote>> },
    /// In the cache that this expression gives.
    Given(Expr),
}

/// What the store is called.
pub(crate) enum Name {
    Written(Expr),
    /// That of the function, behind the path to it.
    Own(String),
}

/// A tier that processes share.
pub(crate) struct Remote {
    /// The word that asks for it: here it is reported if the runtime was built without.
    pub(crate) tier: Ident,
    pub(crate) codec: Codec,
}

/// The wire form of values.
pub(crate) enum Codec {
    /// One that comes with the runtime, by its name as a codec, which is reported here if the runtime was built without.
    Known(Ident),
    Own(Expr),
}

impl Codec {
    fn value(&self, krate: &Crate) -> TokenStream {
        match self {
            Self::Known(name) => krate.needs(name, &TokenStream::new()),
            Self::Own(own) => own.to_token_stream(),
        }
    }

    /// The type of one that comes with the runtime.
    pub(crate) fn ty(&self, krate: &Crate) -> Option<TokenStream> {
        match self {
            Self::Known(name) => Some(krate.needs(name, &quote!(type))),
            Self::Own(_) => None,
        }
    }
}

/// One call on the builder.
pub(crate) struct Setting {
    /// Has the span of the option, so that editors show what the builder says about it.
    pub(crate) method: Ident,
    pub(crate) argument: TokenStream,
}

impl Store {
    pub(crate) fn of(function: &Function, args: &CachedArgs, krate: &Crate) -> Self {
        if let Some(cache) = &args.cache {
            return Self::Given(cache.value.clone());
        }
        let own = function.sig.ident.unraw().to_string();
        let name = match &args.name {
            Some(name) => Name::Written(name.value.clone()),
            None => Name::Own(own),
        };
        let remote = args.tier.as_ref().filter(|_| args.is_remote()).map(|tier| {
            Box::new(Remote {
                tier: tier.value.clone(),
                codec: match args.remote.codec.as_ref().map(|codec| &codec.value) {
                    None => Codec::Known(format_ident!("msgpack", span = tier.value.span())),
                    Some(WrittenCodec::Known(name)) => Codec::Known(name.clone()),
                    Some(WrittenCodec::Own(own)) => Codec::Own(own.clone()),
                },
            })
        });
        let mut settings = settings(args, krate);
        if let Some(remote) = &remote {
            settings.extend(of_remote(remote, &args.remote, krate));
        }
        Self::Own { name, settings, remote }
    }

    pub(crate) fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Own { remote, .. } => remote.as_deref(),
            Self::Given(_) => None,
        }
    }
}

/// In the order of the table in the documentation.
fn settings(args: &CachedArgs, krate: &Crate) -> Vec<Setting> {
    let root = krate.root();
    let mut settings = Vec::new();
    let mut set = |method: &str, name: &Ident, argument: TokenStream| {
        settings.push(Setting { method: format_ident!("{method}", span = name.span()), argument });
    };
    let (ttl, forever) = match &args.ttl {
        Some(ttl) if ttl.value.known() == Some(FOREVER) => (None, Some(&ttl.name)),
        ttl => (ttl.as_ref(), None),
    };
    if let Some(forever) = forever {
        set("forever", forever, TokenStream::new());
    }
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
    each("max_entry_weight", written(&args.max_entry_weight));
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
    each("cache_none", args.keeps_none().map(|name| (name, quote!(true))));
    each("none_ttl", written(&args.none_ttl));
    each("cache_err", args.keeps_errors().map(|name| (name, quote!(true))));
    each("err_ttl", written(&args.err_ttl));
    each("jitter", written(&args.jitter));
    each("refresh_ahead", written(&args.refresh_ahead));
    let mode = |mode: &Ident| match mode.to_string().as_str() {
        "off" => quote!(#root::SingleFlight::Off),
        "fleet" => quote!(#root::SingleFlight::Fleet),
        _ => quote!(#root::SingleFlight::Process),
    };
    each("single_flight", args.single_flight.as_ref().map(|single| (&single.name, mode(&single.value))));
    each("wait_timeout", written(&args.wait_timeout));
    settings
}

/// What a shared tier is told, in the order of the table in the documentation.
fn of_remote(remote: &Remote, args: &RemoteArgs, krate: &Crate) -> Vec<Setting> {
    let root = krate.root();
    let mut settings = vec![Setting { method: remote.tier.clone(), argument: remote.codec.value(krate) }];
    let mut each = |option: Option<(&Ident, TokenStream)>| {
        if let Some((name, argument)) = option {
            settings.push(Setting { method: name.clone(), argument });
        }
    };
    each(args.compress.as_ref().map(|Written { name, value: Compress { algorithm, min } }| {
        (name, krate.needs(algorithm, &min.to_token_stream()))
    }));
    let consistency = |word: &Ident| match word.to_string().as_str() {
        "eventual" => quote!(#root::Consistency::Eventual),
        "strict" => quote!(#root::Consistency::Strict),
        _ => quote!(#root::Consistency::Bounded),
    };
    each(args.consistency.as_ref().map(|written| (&written.name, consistency(&written.value))));
    each(written(&args.lease));
    each(written(&args.settle));
    each(written(&args.degraded_ttl));
    each(written(&args.max_disconnected));
    let on_outage = |word: &Ident| match word == "fail" {
        true => quote!(#root::OnOutage::Fail),
        false => quote!(#root::OnOutage::Queue),
    };
    each(args.on_outage.as_ref().map(|written| (&written.name, on_outage(&written.value))));
    each(written(&args.max_value_bytes));
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
        let function: Function = syn::parse_quote! { fn f() -> u8 { 0 } };
        let Store::Own { settings, .. } = Store::of(&function, &args, &Crate::of(None)) else {
            panic!("no cache is given");
        };
        let calls = settings.into_iter().map(|setting| format!(".{}({})", setting.method, setting.argument));
        let text = calls.collect::<String>().replace(' ', "");
        text.replace("::core::time::Duration::", "").replace("::hybridcache::", "")
    }

    #[test]
    fn sliding_alone_renews_the_ttl() {
        assert_eq!(calls(quote!(ttl = "60s", sliding)), ".sliding(from_secs(60))");
        assert_eq!(calls(quote!(ttl = "1h", sliding = "5m")), ".ttl(from_secs(3600)).sliding(from_secs(300))");
        assert_eq!(calls(quote!(sliding = "5m", max_age = "1h")), ".sliding(from_secs(300)).max_age(from_secs(3600))");
        assert_eq!(calls(quote!(ttl = "forever")), ".forever()");
    }

    #[test]
    fn each_policy_has_its_name() {
        for (word, variant) in [
            ("s3fifo", "S3Fifo"),
            ("lru", "Lru"),
            ("lfu", "Lfu"),
            ("fifo", "Fifo"),
            ("mru", "Mru"),
            ("clock", "Clock"),
            ("adaptive", "Adaptive"),
        ] {
            let word = format_ident!("{word}");
            assert_eq!(calls(quote!(policy = #word)), format!(".policy(Policy::{variant})"));
        }
    }

    #[test]
    fn a_negative_lifetime_implies_its_flag() {
        assert_eq!(calls(quote!(none_ttl = "1s")), ".cache_none(true).none_ttl(from_secs(1))");
        assert_eq!(calls(quote!(err_ttl = "1s", cache_err)), ".cache_err(true).err_ttl(from_secs(1))");
        assert_eq!(calls(quote!(cache_none = false)), "");
    }

    #[test]
    fn a_tier_brings_its_codec() {
        assert_eq!(calls(quote!(ttl = "1s", tier = hybrid)), ".ttl(from_secs(1)).hybrid(__msgpack!())");
        assert_eq!(calls(quote!(ttl = "1s", tier = redis, codec = Mine)), ".ttl(from_secs(1)).redis(Mine)");
        assert_eq!(calls(quote!(tier = memory)), "");
    }

    #[test]
    fn what_a_tier_is_told_comes_after_it() {
        let all = quote! {
            codec = json, compress(lz4, min = 1024), consistency = eventual, single_flight = fleet, lease = "10s", settle = LAG,
            degraded_ttl = "500ms", max_disconnected = "30s", on_outage = fail, max_value_bytes = "1KiB", tier = hybrid, ttl = "forever"
        };
        let expected = [
            ".forever().single_flight(SingleFlight::Fleet).hybrid(__json!()).compress(__lz4!(1024))",
            ".consistency(Consistency::Eventual).lease(from_secs(10)).settle(LAG).degraded_ttl(from_millis(500))",
            ".max_disconnected(from_secs(30)).on_outage(OnOutage::Fail).max_value_bytes(1024)",
        ];
        assert_eq!(calls(all), expected.concat());
    }
}
