//! What a wrong program is told. Each sentence is checked for what is wrong and for the cure.

use proc_macro2::TokenStream;
use quote::quote;

use crate::attribute;

/// The sentences, and nothing else may be missing: the function has to be there as it was.
fn sentences(
    attribute: fn(TokenStream, TokenStream) -> TokenStream,
    args: TokenStream,
    item: TokenStream,
) -> Vec<String> {
    let expanded = attribute(args, item.clone()).to_string();
    assert!(expanded.ends_with(&item.to_string()), "the function is still emitted");
    let errors = expanded.strip_suffix(&item.to_string()).unwrap_or_default();
    let file: syn::File = syn::parse_str(errors).unwrap();
    let sentence = |item: syn::Item| match item {
        syn::Item::Macro(item) => syn::parse2::<syn::LitStr>(item.mac.tokens).unwrap().value(),
        other => panic!("expected an error, got {}", quote!(#other)),
    };
    file.items.into_iter().map(sentence).collect()
}

fn cached(args: TokenStream, item: TokenStream) -> Vec<String> {
    sentences(attribute::cached, args, item)
}

fn evict(args: TokenStream, item: TokenStream) -> Vec<String> {
    sentences(attribute::cache_evict, args, item)
}

fn put(args: TokenStream, item: TokenStream) -> Vec<String> {
    sentences(attribute::cache_put, args, item)
}

/// One mistake in the options of a function that is fine.
fn option(args: TokenStream) -> String {
    one(cached(args, quote! { async fn user(id: u64, lang: &str) -> Result<User, E> { load(id, lang).await } }))
}

/// One mistake in a function with no options.
fn function(item: TokenStream) -> String {
    one(cached(quote!(), item))
}

#[track_caller]
fn one(mut sentences: Vec<String>) -> String {
    assert_eq!(sentences.len(), 1, "{sentences:#?}");
    sentences.remove(0)
}

#[track_caller]
fn says(sentence: String, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "expected `{part}` in: {sentence}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let told = cached(
        quote!(tll = "5m", capacity = 0, tier = hybrid, skip(pool)),
        quote! { const fn user(x: f64, conn: &mut Conn) -> &str { "" } },
    );
    assert_eq!(told.len(), 7, "{told:#?}");
}

#[test]
fn what_a_boxed_future_took_along_is_told() {
    let item = |this: TokenStream| quote! { fn add(#this, id: u64) -> Pin<Box<dyn Future<Output = u64>>> { Box::pin(self.insert(id)) } };
    says(
        one(evict(quote!(self.user(*result)), item(quote!(&mut self)))),
        &["taken along", "as in `Self::user(result.id)`"],
    );
    says(one(put(quote!(Self::user(id) = self.last), item(quote!(self: Arc<Self>)))), &["or take `&self`"]);
}

#[test]
fn what_follows_from_a_mistake_is_no_mistake_on_top() {
    says(
        option(quote!(max_weight = "1MiB", weigher = |_key, value| value.len() as u64)),
        &["it is called `weigh` here"],
    );
    says(option(quote!(tll = "5m", sliding)), &["did you mean `ttl`?"]);
    says(option(quote!(tll = "5m", refresh_ahead = 0.8)), &["did you mean `ttl`?"]);
    says(option(quote!(teir = redis, codec = json)), &["did you mean `tier`?"]);
    let method = || quote! { pub fn f(&self, db: &dyn Db) -> u8 { 0 } };
    says(one(cached(quote!(skp(self, db)), method())), &["did you mean `skip`?"]);
    says(one(cached(quote!(key(self.tenant)), method())), &["states its owned type"]);
}

#[test]
fn lifetimes_have_to_make_sense() {
    says(option(quote!(ttl = "0s")), &["never hit", "remove #[cached]"]);
    says(option(quote!(sliding)), &["there is none", "add `ttl = \"5m\"`"]);
    says(option(quote!(sliding, ttl = "forever")), &["there is none"]);
    says(option(quote!(max_age = "1h", ttl = "1m")), &["caps a sliding lifetime", "add `sliding`"]);
    says(option(quote!(refresh_ahead = 0.8)), &["there is none", "add e.g. `ttl"]);
    says(option(quote!(refresh_ahead = 1.5, ttl = "1m")), &["between 0 and 1"]);
    says(option(quote!(refresh_ahead = 0.8, ttl = "1m", sliding)), &["what hits renew", "sliding = \"5m\""]);
    says(option(quote!(jitter = "100%")), &["below \"100%\""]);
    says(option(quote!(wait_timeout = "0s")), &["single_flight = off"]);
}

#[test]
fn bounds_have_to_be_complete() {
    says(option(quote!(capacity = 0)), &["keeps nothing", "capacity = 1_000"]);
    says(option(quote!(max_weight = "1MiB")), &["add e.g. `weigh"]);
    says(option(quote!(weigh = |_, v| v.len())), &["add e.g. `max_weight"]);
    says(option(quote!(capacity = 5, max_weight = 5, weigh = |_, _| 1)), &["keep one of them"]);
    says(option(quote!(max_entry_weight = 5)), &["there is none", "max_weight = \"64MiB\""]);
    says(option(quote!(max_entry_weight = 0, max_weight = 5, weigh = |_, _| 1)), &["keeps nothing"]);
    says(option(quote!(max_entry_weight = "2KiB", max_weight = "1KiB", weigh = |_, _| 1)), &["more than `max_weight`"]);
}

#[test]
fn negative_caching_needs_something_negative() {
    says(option(quote!(cache_none)), &["not seen to return an `Option`", "returns = option"]);
    says(option(quote!(none_ttl = "1s")), &["`none_ttl` keeps `None`"]);
    let told = cached(quote!(cache_err), quote! { fn find(id: u64) -> Option<User> { None } });
    says(one(told), &["not seen to return a `Result`"]);
    says(option(quote!(cache_err, share_err = |e| e.copy())), &["remove `share_err`"]);
    says(option(quote!(value = User, returns = result)), &["remove `returns`"]);
}

#[test]
fn keys_name_what_there_is() {
    says(option(quote!(skip(lnag))), &["there is no argument `lnag`", "did you mean `lang`?"]);
    says(option(quote!(key(tenant))), &["there are `id`, `lang`"]);
    says(option(quote!(key(id, id))), &["in the key twice"]);
    says(option(quote!(key(id, &lang[..2]))), &["or `name: Type = expression`"]);
    says(option(quote!(key(id), skip(lang))), &["remove `skip(..)`"]);
    says(option(quote!(skip(self))), &["there is no `self` here"]);
    says(option(quote!(key(self))), &["say what tells it apart"]);
    let many = quote! { fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8) -> u8 { 0 } };
    says(function(many), &["13 parts", "12 is the most"]);
}

#[test]
fn arguments_that_are_no_keys_are_told_with_the_cure() {
    says(
        function(quote! { fn f(x: f64) -> u8 { 0 } }),
        &["`x` cannot be part of a key", "Add `skip(x)`", "key(x: u64 = x.to_bits())"],
    );
    says(
        function(quote! { fn f(at: &[f32]) -> u8 { 0 } }),
        &["`f32` has no `Eq`", "key(at: Vec<u32> = at.iter().map(|x| x.to_bits()).collect())"],
    );
    let within = function(quote! { fn f(at: Option<(f64, u8)>) -> u8 { 0 } });
    assert!(
        within.contains("choose the key") && !within.contains("to_bits"),
        "what does not compile is no cure: {within}"
    );
    says(
        function(quote! { fn f(names: Vec<&str>) -> u8 { 0 } }),
        &["outlives the call", "key(names: Vec<String> = names.iter()"],
    );
    says(function(quote! { fn f(conn: &mut Conn) -> u8 { 0 } }), &["`skip(conn)`"]);
    says(function(quote! { fn f(db: &dyn Db) -> u8 { 0 } }), &["trait object", "`skip(db)`"]);
    says(function(quote! { fn f(_: fn()) -> u8 { 0 } }), &["Give it a name"]);
    assert!(
        one(cached(quote!(skip(db), nonsense), quote! { fn f(db: &mut Db) -> u8 { 0 } })).contains("nonsense"),
        "skipping is enough"
    );
}

#[test]
fn names_stand_without_quotes() {
    says(option(quote!(policy = "lru")), &["without quotes", "`policy = lru`"]);
    says(option(quote!(skip("lang"))), &["without quotes", "`skip(lang)`"]);
    says(option(quote!(key("id"))), &["without quotes", "`key(id)`"]);
    says(option(quote!(handle = "users")), &["without quotes", "`handle = users`"]);
    says(option(quote!(value = "User")), &["without quotes", "`value = User`"]);
    says(option(quote!(crate = "my::cache")), &["without quotes", "`crate = my::cache`"]);
}

#[test]
fn self_is_never_ignored_in_silence() {
    says(
        function(quote! { pub fn f(&self, id: u64) -> u8 { 0 } }),
        &["`skip(self)`", "key(tenant: u64 = self.tenant, id)"],
    );
    says(one(cached(quote!(skip(self)), quote! { pub fn f(&mut self) -> u8 { 0 } })), &["takes `&self`"]);
    says(one(cached(quote!(skip(self)), quote! { pub fn f(self: Pin<&mut Self>) -> u8 { 0 } })), &["takes `&self`"]);
}

#[test]
fn functions_that_cannot_be_cached_are_told_why() {
    says(function(quote! { const fn f() -> u8 { 0 } }), &["remove `const`"]);
    says(function(quote! { unsafe fn f() -> u8 { 0 } }), &["safe function around it"]);
    says(function(quote! { extern "C" fn f() -> u8 { 0 } }), &["a Rust function that it calls"]);
    says(function(quote! { fn f() -> impl Iterator<Item = u8> { x } }), &["name the type"]);
    says(function(quote! { fn f() -> &str { x } }), &["return an owned value"]);
    says(function(quote! { fn f() -> ! { x } }), &["never returns"]);
    says(function(quote! { fn str(id: u64) -> u8 { 0 } }), &["handle = str_cache"]);
    says(function(quote! { struct S; }), &["on a function or a method"]);
    says(one(cached(quote!(skip(db)), quote! { fn f(db: impl Db) -> u8 { 0 } })), &["generic parameter"]);
    let conditional = quote! { fn f(#[cfg(unix)] id: u64) -> u8 { 0 } };
    says(function(conditional), &["one function for each condition"]);
}

#[test]
fn a_given_cache_is_configured_elsewhere() {
    says(option(quote!(cache = USERS, ttl = "1m")), &["`ttl` configures a store", "set it on the cache"]);
    let of_argument = quote! { fn f(state: &State, id: u64) -> u8 { 0 } };
    says(
        one(cached(quote!(cache = state.users, key(id)), of_argument)),
        &["comes from the argument `state`", "handle = false"],
    );
    says(option(quote!(name = format!("users-{lang}"))), &["cannot depend on the argument `lang`"]);
    says(option(quote!(ttl = life_of(id))), &["`ttl`", "built once", "cannot depend on the argument `id`"]);
    says(option(quote!(sliding = id * SECOND, jitter = SHARE)), &["`sliding`", "the argument `id`"]);
    says(
        one(cached(quote!(skip(self), capacity = self.most), quote! { pub fn user(&self, id: u64) -> u64 { id } })),
        &["`capacity`", "cannot depend on `self`"],
    );
}

#[test]
fn what_runs_behind_has_to_own() {
    let args = || quote!(ttl = "1m", refresh_ahead = 0.5, skip(self, db));
    says(one(cached(args(), quote! { pub async fn f(&self, db: Db) -> u8 { 0 } })), &["take `self: &Arc<Self>`"]);
    says(
        one(cached(args(), quote! { async fn f(self: Arc<Self>, db: Db) -> u8 { 0 } })),
        &["give this method a visibility"],
    );
    says(
        one(cached(args(), quote! { pub async fn f(self: &Arc<Self>, db: &mut Db) -> u8 { 0 } })),
        &["`db` is a `&mut`"],
    );
    says(
        one(cached(args(), quote! { pub async fn f(self: &Arc<Self>, db: &dyn Db) -> u8 { 0 } })),
        &["borrowed trait object"],
    );
    says(
        one(cached(args(), quote! { pub async fn f(self: &Arc<Self>, db: Db<'_>) -> u8 { 0 } })),
        &["borrow inside its type"],
    );
}

#[test]
fn a_shared_tier_wants_to_hear_how_long() {
    says(option(quote!(tier = hybrid)), &["`tier = hybrid` keeps entries when this process is gone", "ttl = \"5m\""]);
    says(option(quote!(tier = redis, cache_err = false)), &["ttl = \"forever\""]);
    says(option(quote!(tier = redis, sliding)), &["`sliding` renews a lifetime"]);
    says(option(quote!(tier = redis, ttl = "5 parsecs")), &["not a unit of time"]);
    says(
        option(quote!(tier = redis, ttl = "1m", capacity = 10)),
        &["`capacity` is about memory", "use `tier = hybrid`"],
    );
    let forever = attribute::cached(quote!(tier = hybrid, ttl = "forever"), quote! { fn f(id: u64) -> u8 { 0 } });
    assert!(!forever.to_string().contains("compile_error"));
}

#[test]
fn options_of_a_shared_tier_need_one() {
    says(option(quote!(codec = json)), &["in memory only", "add `tier = hybrid`"]);
    says(option(quote!(tier = memory, lease = "5s")), &["`lease` is about a tier"]);
    says(option(quote!(single_flight = fleet)), &["single_flight = process"]);
    says(option(quote!(tier = hybird, codec = json, ttl = "1m")), &["did you mean `hybrid`?"]);
    says(option(quote!(tier = MyDriver::new(), codec = json)), &["drivers of your own"]);
    says(option(quote!(tier = "hybrid", codec = json)), &["without quotes: `tier = hybrid`"]);
    says(option(quote!(cache = USERS, codec = json)), &["`codec` configures a store", "set it on the cache"]);
}

#[test]
fn options_of_a_shared_tier_have_to_make_sense() {
    let remote = |more: TokenStream| option(quote!(ttl = "1m", tier = hybrid, #more));
    says(remote(quote!(lease = "149ms")), &["at least \"150ms\""]);
    says(remote(quote!(none_ttl = "1us", returns = option)), &["at least \"1ms\""]);
    says(remote(quote!(settle = "999us")), &["counts in milliseconds"]);
    says(remote(quote!(name = "*")), &["stands for all there"]);
    says(remote(quote!(degraded_ttl = "0s")), &["has to last a little"]);
    says(remote(quote!(max_value_bytes = 0)), &["keeps nothing"]);
    says(remote(quote!(max_disconnected = "30s")), &["is for `consistency = eventual`"]);
    says(remote(quote!(max_disconnected = "0s", consistency = eventual)), &["never answer"]);
    says(remote(quote!(codec = Packed::of(lang))), &["cannot depend on the argument `lang`"]);
    says(remote(quote!(compress(lz4, min = lang.len()))), &["`compress`", "cannot depend on the argument `lang`"]);
    says(remote(quote!(settle = lag_of(id))), &["`settle`", "cannot depend on the argument `id`"]);
}

#[test]
fn results_are_used_where_there_is_one() {
    let item = || quote! { async fn create(new: User) -> Result<User, E> { insert(new).await } };
    says(one(evict(quote!(user(result.id), before), item())), &["no `result` before the body"]);
    says(one(evict(quote!(user(result.id), on = always), item())), &["no `result` when the function fails"]);
    says(one(evict(quote!(users(..), before, on = always), item())), &["keep one of them"]);
    says(one(evict(quote!(tag = "users"), item())), &["tags are not in this version", "user_list(..)"]);
    let clash = || quote! { fn f(result: u8) -> u8 { result } };
    says(one(evict(quote!(user(result.id)), clash())), &["give this argument another name"]);
    says(one(put(quote!(user(id) = result.clone()), clash())), &["give this argument another name"]);
}
