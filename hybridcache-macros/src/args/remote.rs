//! The options of remote tiers as written.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Expr, Lit, Token, parenthesized};

use super::list::{Written, assigned, computed, name, name_of, set, word};
use super::value::{self, Value};
use crate::suggest::{list, nearest};

/// What is said about a tier that several processes share.
#[derive(Default)]
pub(crate) struct RemoteArgs {
    pub(crate) codec: Option<Written<Codec>>,
    pub(crate) compress: Option<Written<Compress>>,
    pub(crate) consistency: Option<Written<Ident>>,
    pub(crate) lease: Option<Written<Value<Duration>>>,
    pub(crate) settle: Option<Written<Value<Duration>>>,
    pub(crate) degraded_ttl: Option<Written<Value<Duration>>>,
    pub(crate) max_disconnected: Option<Written<Value<Duration>>>,
    pub(crate) on_outage: Option<Written<Ident>>,
    pub(crate) max_value_bytes: Option<Written<Value<u64>>>,
}

/// `codec = …`
pub(crate) enum Codec {
    /// One of the codecs that come with the runtime.
    Known(Ident),
    /// A value of the user's: a unit struct, a constant, what an expression makes.
    Own(Expr),
}

/// `compress = lz4`, `compress(lz4, min = 1024)`
pub(crate) struct Compress {
    pub(crate) algorithm: Ident,
    pub(crate) min: Option<Value<u64>>,
}

pub(crate) const OPTIONS: [&str; 9] = [
    "codec",
    "compress",
    "consistency",
    "degraded_ttl",
    "lease",
    "max_disconnected",
    "max_value_bytes",
    "on_outage",
    "settle",
];

const CODECS: [&str; 5] = ["msgpack", "json", "bincode", "postcard", "protobuf"];

impl RemoteArgs {
    /// Reads the option if it is one of these.
    pub(crate) fn option(&mut self, input: ParseStream<'_>, name: &Ident) -> Option<syn::Result<()>> {
        let length = |example: &str| assigned(input, name, &format!("{name} = \"{example}\""), value::duration);
        let one_of =
            |known: &[&str]| assigned(input, name, &format!("{name} = {}", known[0]), |input| word(input, name, known));
        Some(match name.to_string().as_str() {
            "codec" => assigned(input, name, "codec = msgpack", codec).and_then(|it| set(&mut self.codec, name, it)),
            "compress" => compress(input, name).and_then(|it| set(&mut self.compress, name, it)),
            "consistency" => {
                one_of(&["bounded", "eventual", "strict"]).and_then(|it| set(&mut self.consistency, name, it))
            }
            "lease" => length("5s").and_then(|it| set(&mut self.lease, name, it)),
            "settle" => length("200ms").and_then(|it| set(&mut self.settle, name, it)),
            "degraded_ttl" => length("1s").and_then(|it| set(&mut self.degraded_ttl, name, it)),
            "max_disconnected" => length("30s").and_then(|it| set(&mut self.max_disconnected, name, it)),
            "on_outage" => one_of(&["queue", "fail"]).and_then(|it| set(&mut self.on_outage, name, it)),
            "max_value_bytes" => assigned(input, name, "max_value_bytes = \"8MiB\"", value::size)
                .and_then(|it| set(&mut self.max_value_bytes, name, it)),
            _ => return None,
        })
    }

    /// The names of those that were written.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Ident> {
        let names = [
            name_of(&self.codec),
            name_of(&self.compress),
            name_of(&self.consistency),
            name_of(&self.lease),
            name_of(&self.settle),
            name_of(&self.degraded_ttl),
            name_of(&self.max_disconnected),
            name_of(&self.on_outage),
            name_of(&self.max_value_bytes),
        ];
        names.into_iter().flatten()
    }

    /// The expressions that say how long and how much, with the options they stand in.
    pub(crate) fn computed(&self) -> impl Iterator<Item = (&Ident, &Expr)> {
        let compress = self.compress.as_ref();
        let options = [
            compress.and_then(|compress| Some((&compress.name, compress.value.min.as_ref()?.computed()?))),
            computed(&self.lease),
            computed(&self.settle),
            computed(&self.degraded_ttl),
            computed(&self.max_disconnected),
            computed(&self.max_value_bytes),
        ];
        options.into_iter().flatten()
    }
}

fn codec(input: ParseStream<'_>) -> syn::Result<Codec> {
    let expr: Expr = input.parse()?;
    if let Expr::Lit(literal) = &expr {
        let hint = match &literal.lit {
            Lit::Str(text) => text.value(),
            _ => "msgpack".to_owned(),
        };
        return Err(syn::Error::new(literal.span(), format!("a codec is a name without quotes: `codec = {hint}`")));
    }
    let word = match &expr {
        Expr::Path(path) => path.path.get_ident().filter(|word| !word.to_string().starts_with(char::is_uppercase)),
        _ => None,
    };
    let Some(word) = word else {
        return Ok(Codec::Own(expr));
    };
    let written = word.to_string();
    if CODECS.contains(&written.as_str()) {
        return Ok(Codec::Known(word.clone()));
    }
    let hint = match (known_elsewhere(&written), nearest(&written, &CODECS)) {
        (Some(here), _) => format!("it is called `{here}` here"),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => {
            format!("there are {}; one of your own is named by its path, as in `codec = crate::Packed`", list(&CODECS))
        }
    };
    Err(syn::Error::new(word.span(), format!("unknown codec `{word}`; {hint}")))
}

fn known_elsewhere(written: &str) -> Option<&'static str> {
    match written {
        "messagepack" | "message_pack" | "rmp" | "rmp_serde" => Some("msgpack"),
        "serde_json" => Some("json"),
        "prost" | "proto" | "pb" => Some("protobuf"),
        _ => None,
    }
}

fn compress(input: ParseStream<'_>, name: &Ident) -> syn::Result<Compress> {
    let known = ["lz4", "zstd"];
    if !input.peek(syn::token::Paren) {
        let algorithm = assigned(input, name, "compress = lz4", |input| word(input, name, &known))?;
        return Ok(Compress { algorithm, min: None });
    }
    let content;
    parenthesized!(content in input);
    let read = arguments(&content, name, &known);
    if read.is_err() {
        // What is left unread in parentheses would be reported as a mistake of its own.
        content.parse::<TokenStream>()?;
    }
    read
}

fn arguments(content: ParseStream<'_>, option: &Ident, known: &[&str]) -> syn::Result<Compress> {
    let algorithm = word(content, option, known)?;
    let mut min = None;
    if content.parse::<Option<Token![,]>>()?.is_some() && !content.is_empty() {
        let threshold = name(content)?;
        if threshold != "min" {
            return Err(unexpected(threshold.span(), &threshold.to_string()));
        }
        min = Some(assigned(content, &threshold, "min = 1024", value::size)?);
        content.parse::<Option<Token![,]>>()?;
    }
    match content.is_empty() {
        true => Ok(Compress { algorithm, min }),
        false => Err(unexpected(content.span(), &content.fork().parse::<TokenStream>()?.to_string())),
    }
}

fn unexpected(span: Span, what: &str) -> syn::Error {
    syn::Error::new(span, format!("unexpected `{what}`: write `compress(lz4, min = 1024)`"))
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::args::list::items;
    use crate::errors::Errors;

    fn parse(tokens: TokenStream) -> (RemoteArgs, Vec<String>) {
        let errors = Errors::new();
        let mut args = RemoteArgs::default();
        items(tokens, &errors, |input| {
            let name = name(input)?;
            args.option(input, &name).expect("it is an option of remote tiers")
        });
        (args, errors.told())
    }

    #[test]
    fn every_option_is_read() {
        let (args, errors) = parse(quote! {
            codec = bincode, compress(zstd, min = "2KiB"), consistency = strict, lease = "5s", settle = LAG, degraded_ttl = "1s",
            max_disconnected = "30s", on_outage = fail, max_value_bytes = "1MiB",
        });
        assert_eq!(errors, [""; 0]);
        assert_eq!(args.names().count(), OPTIONS.len());
        assert!(matches!(args.codec.unwrap().value, Codec::Known(name) if name == "bincode"));
        let compress = args.compress.unwrap().value;
        assert_eq!((compress.algorithm.to_string().as_str(), compress.min.unwrap().known()), ("zstd", Some(2_048)));
    }

    #[test]
    fn a_codec_of_ones_own_is_a_path_or_an_expression() {
        let own = [quote!(Sealed), quote!(wire::Sealed), quote!(crate::wire::sealed), quote!(Shared(Protobuf))];
        for own in own.map(|own| quote!(codec = #own)) {
            let (args, errors) = parse(own);
            assert_eq!(errors, [""; 0]);
            assert!(matches!(args.codec.unwrap().value, Codec::Own(_)));
        }
    }

    #[test]
    fn an_unknown_codec_is_told_the_nearest() {
        let error = |tokens| parse(tokens).1.remove(0);
        assert_eq!(error(quote!(codec = msgpak)), "unknown codec `msgpak`; did you mean `msgpack`?");
        assert_eq!(error(quote!(codec = serde_json)), "unknown codec `serde_json`; it is called `json` here");
        assert!(error(quote!(codec = cbor)).contains("there are `msgpack`, `json`"));
        assert_eq!(error(quote!(codec = "json")), "a codec is a name without quotes: `codec = json`");
    }

    #[test]
    fn the_threshold_of_a_compressor_is_read_or_told() {
        let (args, errors) = parse(quote!(compress(lz4,)));
        assert!(errors.is_empty() && args.compress.unwrap().value.min.is_none());
        assert_eq!(parse(quote!(compress(lz4, max = 3))).1, ["unexpected `max`: write `compress(lz4, min = 1024)`"]);
        assert_eq!(parse(quote!(compress(lz4 min = 3))).1, ["unexpected `min = 3`: write `compress(lz4, min = 1024)`"]);
        assert!(parse(quote!(compress = lz5)).1[0].contains("did you mean `lz4`?"));
    }
}
