//! Options whose time has not come. They are read in full, so that a program written for a later version gets one clear sentence and
//! no riddles about its grammar.

use proc_macro2::Ident;
use syn::LitStr;
use syn::parse::ParseStream;

use super::list::{assigned, parenthesised};
use super::value;

/// Reads the option if it is one of a later version, and says what there is today instead.
pub(crate) fn option(input: ParseStream<'_>, name: &Ident) -> syn::Result<Option<String>> {
    let sentence = match name.to_string().as_str() {
        "tags" => {
            parenthesised(input, name, "tags(\"user:{id}\")", |input| input.parse::<LitStr>())?;
            "`tags` is not in this version of hybridcache yet: name the functions to evict in `#[cache_evict(user(id), user_list(..))]`".to_owned()
        }
        "stale_while_revalidate" => {
            assigned(input, name, "stale_while_revalidate = \"30s\"", value::duration)?;
            "`stale_while_revalidate` is not in this version of hybridcache yet: `refresh_ahead = 0.8` reloads in the background before an entry expires"
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

pub(crate) const OPTIONS: [&str; 5] =
    ["hard_timeout", "soft_timeout", "stale_if_error", "stale_while_revalidate", "tags"];

/// A tier that is an expression.
pub(crate) const TIER: &str = "drivers of your own are not in this version of hybridcache yet: use `tier = memory` (the default), `tier = hybrid` or `tier = redis`";
