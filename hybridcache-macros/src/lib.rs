//! The attributes of hybridcache: [`macro@cached`], [`macro@cache_evict`], [`macro@cache_put`].
//!
//! They are re-exported by the `hybridcache` crate, which they expand to calls of. An expansion is one site, one key and one call: no
//! algorithm lives in user code, so that a fix ships in the runtime.
//!
//! An attribute goes the way `args` (what was written) → `model` (what it means) → `check` (what is wrong with that) → `expand` (tokens).
//! Whoever makes mistakes gets all of them at once, and the function as it was beside them.

use proc_macro::TokenStream;

mod args;
mod attribute;
mod check;
mod errors;
mod expand;
mod function;
mod mention;
mod model;
mod suggest;

#[doc = include_str!("../docs/cached.md")]
#[proc_macro_attribute]
pub fn cached(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute::cached(args.into(), item.into()).into()
}

#[doc = include_str!("../docs/cache_evict.md")]
#[proc_macro_attribute]
pub fn cache_evict(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute::cache_evict(args.into(), item.into()).into()
}

#[doc = include_str!("../docs/cache_put.md")]
#[proc_macro_attribute]
pub fn cache_put(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute::cache_put(args.into(), item.into()).into()
}
