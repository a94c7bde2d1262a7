//! Options whose time has not come. They are read in full, so that a program written for a later version gets one clear sentence and
//! no riddles about its grammar.

use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{Expr, LitStr, Token, parenthesized};

use super::list::{assigned, parenthesised, word};
use super::value;

/// Reads the option if it is one of a later version, and says what there is today instead.
pub(crate) fn option(input: ParseStream<'_>, name: &Ident) -> syn::Result<Option<String>> {
    let without_remote =
        |what: &str| format!("`{name}` {what}, and this version of hybridcache has the memory tier only: remove it");
    let sentence = match name.to_string().as_str() {
        "codec" => {
            assigned(input, name, "codec = msgpack", |input| input.parse::<syn::Path>())?;
            without_remote("is the wire form of remote tiers")
        }
        "compress" => {
            compress(input, name)?;
            without_remote("is for the wire form of remote tiers")
        }
        "consistency" => {
            assigned(input, name, "consistency = bounded", |input| {
                word(input, name, &["eventual", "bounded", "strict"])
            })?;
            without_remote("is about tiers that several processes share")
        }
        "tags" => {
            parenthesised(input, name, "tags(\"user:{id}\")", |input| input.parse::<LitStr>())?;
            "`tags` is not in this version of hybridcache yet: name the functions to evict in `#[cache_evict(user(id), user_list(..))]`".to_owned()
        }
        "stale_while_revalidate" => {
            assigned(input, name, "stale_while_revalidate = \"30s\"", value::duration)?;
            "`stale_while_revalidate` is not in this version of hybridcache yet: `refresh_ahead = 0.8` reloads behind the caller before an entry expires"
                .to_owned()
        }
        "stale_if_error" => {
            assigned(input, name, "stale_if_error = \"1h\"", value::duration)?;
            "`stale_if_error` is not in this version of hybridcache yet: a longer `ttl` with `refresh_ahead` keeps serving while reloads fail".to_owned()
        }
        "soft_timeout" | "hard_timeout" => {
            assigned(input, name, &format!("{name} = \"2s\""), value::duration)?;
            format!("`{name}` is not in this version of hybridcache yet: put a timeout around the work inside the body")
        }
        _ => return Ok(None),
    };
    Ok(Some(sentence))
}

pub(crate) const OPTIONS: [&str; 8] = [
    "codec",
    "compress",
    "consistency",
    "hard_timeout",
    "soft_timeout",
    "stale_if_error",
    "stale_while_revalidate",
    "tags",
];

/// What is wrong with a tier today, if anything.
pub(crate) fn tier(tier: &Expr) -> Option<String> {
    let word = match tier {
        Expr::Path(path) => path.path.get_ident().map(Ident::to_string),
        _ => None,
    };
    match word.as_deref() {
        Some("memory") => None,
        Some(word @ ("redis" | "hybrid")) => Some(format!(
            "`tier = {word}` needs the Redis tier, which this version of hybridcache does not have yet: use `tier = memory` (the default)"
        )),
        _ => Some(
            "drivers of your own are not in this version of hybridcache yet: use `tier = memory` (the default)"
                .to_owned(),
        ),
    }
}

pub(crate) fn single_flight(mode: &Ident) -> Option<String> {
    (mode == "fleet").then(|| {
        "`single_flight = fleet` needs a tier that processes share, which this version of hybridcache does not have yet: use `single_flight = process` (the default)"
            .to_owned()
    })
}

/// `compress = lz4`, `compress(lz4, min = 1024)`.
fn compress(input: ParseStream<'_>, name: &Ident) -> syn::Result<()> {
    let known = ["lz4", "zstd"];
    if !input.peek(syn::token::Paren) {
        return assigned(input, name, "compress = lz4", |input| word(input, name, &known)).map(drop);
    }
    let content;
    parenthesized!(content in input);
    word(&content, name, &known)?;
    if content.parse::<Option<Token![,]>>()?.is_some() && !content.is_empty() {
        let min = super::list::name(&content)?;
        assigned(&content, &min, "min = 1024", value::size)?;
    }
    if content.is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(
        content.span(),
        format!("unexpected `{}`: write `compress(lz4, min = 1024)`", content.parse::<TokenStream>()?),
    ))
}
