//! Free functions.

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;

use super::{cached, parts, wrapper};

fn user() -> TokenStream {
    quote! {
        /// Loads a user.
        pub async fn user(id: u64, lang: &str) -> Result<User, DbError> {
            db().user(id, lang).await
        }
    }
}

#[test]
fn plain_async() {
    assert_snapshot!(cached(quote!(ttl = "60s", sliding, jitter = "10%"), user()), @r##"
    const _: [(); ::hybridcache::__private::assert_value::<User>()] = [];
    /// Loads a user.
    pub async fn user(id: u64, lang: &str) -> Result<User, DbError> {
        let __hc_result = match user::__cache().__lookup((&id, lang), || ()) {
            ::hybridcache::__private::Lookup::Hit(__hc_hit) => __hc_hit,
            ::hybridcache::__private::Lookup::Miss(__hc_miss) => {
                let __hc_share = ::hybridcache::__share!(Result < User, DbError >, User);
                __hc_miss.load(__hc_share, move || user::uncached(id, lang)).await
            }
        };
        __hc_result
    }
    ///The cache of [`user()`](fn@user): its functions take what forms the key, by reference.
    #[allow(non_camel_case_types, dead_code)]
    #[allow(missing_debug_implementations, missing_copy_implementations)]
    pub struct user {}
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    impl user
    where
        for<'hc> User: ::hybridcache::__private::CacheValue,
    {
        #[doc(hidden)]
        pub fn __cache() -> ::hybridcache::__private::Found<
            (u64, ::std::string::String),
            User,
        > {
            static __HC: ::hybridcache::__private::PlainSite<
                (u64, ::std::string::String),
                User,
            > = ::hybridcache::__private::PlainSite::new();
            __HC.cache(|| {
                __HC
                    .builder(::hybridcache::__private::path_beside::<Self>("user"))
                    .sliding(::core::time::Duration::from_secs(60))
                    .jitter(0.1)
            })
        }
        ///Removes the entry of these arguments.
        pub async fn evict(
            id: &u64,
            lang: &str,
        ) -> ::core::result::Result<::hybridcache::Evicted, ::hybridcache::Error> {
            Self::__cache().evict((id, lang)).await
        }
        ///Stores a value for these arguments. The last arrival wins.
        pub async fn put(
            id: &u64,
            lang: &str,
            value: User,
        ) -> ::core::result::Result<(), ::hybridcache::Error> {
            Self::__cache().insert((id, lang), value).await
        }
        ///Announces a write, to be finished with `put`: two writers at once leave the key absent, never old.
        pub async fn write(
            id: &u64,
            lang: &str,
        ) -> ::core::result::Result<
            ::hybridcache::Write<(u64, ::std::string::String), User>,
            ::hybridcache::Error,
        > {
            Self::__cache().write((id, lang)).await
        }
        ///What is kept for these arguments. Never loads and never counts.
        pub async fn peek(id: &u64, lang: &str) -> ::core::option::Option<User> {
            Self::__cache().peek((id, lang)).await
        }
        ///Runs the body now and replaces what is kept.
        pub async fn refresh(id: u64, lang: &str) -> Result<User, DbError> {
            let __hc_share = ::hybridcache::__share!(Result < User, DbError >, User);
            let __hc_result = Self::__cache()
                .__forced((&id, lang))
                .load(__hc_share, move || user::uncached(id, lang))
                .await;
            __hc_result
        }
        ///Removes every entry.
        pub async fn clear() -> ::core::result::Result<
            ::hybridcache::Evicted,
            ::hybridcache::Error,
        > {
            Self::__cache().clear().await
        }
        ///What happened so far.
        pub fn stats() -> ::hybridcache::Stats {
            Self::__cache().stats()
        }
        ///The cache itself, for everything else.
        pub fn cache() -> ::hybridcache::Cache<(u64, ::std::string::String), User> {
            Self::__cache().to_cache()
        }
        ///The key of these arguments.
        pub fn key(id: &u64, lang: &str) -> (u64, ::std::string::String) {
            ::hybridcache::Key::to_owned_key(&(id, lang))
        }
    }
    impl user {
        ///The body itself, past the cache.
        #[allow(
            clippy::missing_errors_doc,
            clippy::missing_panics_doc,
            clippy::must_use_candidate,
            clippy::missing_const_for_fn
        )]
        pub async fn uncached(id: u64, lang: &str) -> Result<User, DbError> {
            db().user(id, lang).await
        }
    }
    "##);
}

#[test]
fn plain_blocking() {
    let item = quote! { fn squares(mut upto: u64) -> Vec<u64> { upto += 1; (0..upto).map(|n| n * n).collect() } };
    assert_snapshot!(parts(quote!(capacity = 100), item, &["__cache", "put", "refresh", "clear", "key", "uncached"]), @r##"
    const _: [(); ::hybridcache::__private::assert_value::<Vec<u64>>()] = [];
    #[doc(hidden)]
    fn __cache() -> ::hybridcache::__private::Found<u64, Vec<u64>> {
        static __HC: ::hybridcache::__private::PlainSite<u64, Vec<u64>> = ::hybridcache::__private::PlainSite::new();
        ::hybridcache::__private::assert_plain!(Vec < u64 >);
        __HC.cache(|| {
            __HC
                .builder(::hybridcache::__private::path_beside::<Self>("squares"))
                .capacity(100)
        })
    }
    ///Stores a value for these arguments. The last arrival wins.
    fn put(upto: &u64, value: Vec<u64>) -> ::core::result::Result<(), ::hybridcache::Error> {
        Self::__cache().blocking().insert(upto, value)
    }
    ///Runs the body now and replaces what is kept.
    fn refresh(upto: u64) -> Vec<u64> {
        let __hc_share = ::hybridcache::__share!(Vec < u64 >, Vec < u64 >);
        let __hc_result = Self::__cache()
            .__forced(&upto)
            .load_blocking(__hc_share, move || squares::uncached(upto));
        __hc_result
    }
    ///Removes every entry.
    fn clear() -> ::core::result::Result<::hybridcache::Evicted, ::hybridcache::Error> {
        Self::__cache().blocking().clear()
    }
    ///The key of these arguments.
    fn key(upto: &u64) -> u64 {
        ::hybridcache::Key::to_owned_key(&upto)
    }
    ///The body itself, past the cache.
    #[allow(
        clippy::missing_errors_doc,
        clippy::missing_panics_doc,
        clippy::must_use_candidate,
        clippy::missing_const_for_fn
    )]
    fn uncached(mut upto: u64) -> Vec<u64> {
        upto += 1;
        (0..upto).map(|n| n * n).collect()
    }
    "##);
}

#[test]
fn generic() {
    let item = quote! {
        pub async fn load<'a, T: Load + 'static, const N: usize>(from: &'a str, ids: [u64; N]) -> Option<Vec<T>>
        where
            T: 'a,
        {
            T::load(from, ids).await
        }
    };
    assert_snapshot!(parts(quote!(none_ttl = "10s"), item, &["__cache", "evict", "clear", "refresh"]), @r##"
    pub async fn load<'a, T: Load + 'static, const N: usize>(
        from: &'a str,
        ids: [u64; N],
    ) -> Option<Vec<T>>
    where
        T: 'a,
    {
        let __hc_result = match load::__cache::<T, N>().__lookup((from, &ids), || ()) {
            ::hybridcache::__private::Lookup::Hit(__hc_hit) => __hc_hit,
            ::hybridcache::__private::Lookup::Miss(__hc_miss) => {
                let __hc_share = ::hybridcache::__share!(Option < Vec < T > >, Vec < T >);
                __hc_miss.load(__hc_share, move || load::uncached::<T, N>(from, ids)).await
            }
        };
        __hc_result
    }
    #[doc(hidden)]
    #[allow(trivial_bounds)]
    pub fn __cache<T: Load + 'static, const N: usize>() -> ::hybridcache::__private::Found<
        (::std::string::String, [u64; N]),
        Vec<T>,
    >
    where
        ::hybridcache::__private::Keyed<[u64; N]>: ::core::marker::Sized,
        ::hybridcache::__private::Valued<Vec<T>>: ::core::marker::Sized,
    {
        static __HC: ::hybridcache::__private::Site = ::hybridcache::__private::Site::new();
        __HC.cache(|| {
            ::hybridcache::Cache::<
                (::std::string::String, [u64; N]),
                Vec<T>,
            >::builder(
                    ::std::format!(
                        "{}<{}, {}>", ::hybridcache::__private::path_beside:: < Self >
                        ("load"), ::core::any::type_name:: < T > (), N
                    ),
                )
                .cache_none(true)
                .none_ttl(::core::time::Duration::from_secs(10))
        })
    }
    ///Removes the entry of these arguments.
    pub async fn evict<'a, T: Load + 'static, const N: usize>(
        from: &'a str,
        ids: &[u64; N],
    ) -> ::core::result::Result<::hybridcache::Evicted, ::hybridcache::Error>
    where
        T: 'a,
        for<'hc> [u64; N]: ::hybridcache::__private::KeyPart,
        for<'hc> Vec<T>: ::hybridcache::__private::CacheValue,
    {
        Self::__cache::<T, N>().evict((from, ids)).await
    }
    ///Runs the body now and replaces what is kept.
    pub async fn refresh<'a, T: Load + 'static, const N: usize>(
        from: &'a str,
        ids: [u64; N],
    ) -> Option<Vec<T>>
    where
        T: 'a,
        for<'hc> [u64; N]: ::hybridcache::__private::KeyPart,
        for<'hc> Vec<T>: ::hybridcache::__private::CacheValue,
    {
        let __hc_share = ::hybridcache::__share!(Option < Vec < T > >, Vec < T >);
        let __hc_result = Self::__cache::<T, N>()
            .__forced((from, &ids))
            .load(__hc_share, move || load::uncached::<T, N>(from, ids))
            .await;
        __hc_result
    }
    ///Removes every entry.
    pub async fn clear<T: Load + 'static, const N: usize>() -> ::core::result::Result<
        ::hybridcache::Evicted,
        ::hybridcache::Error,
    >
    where
        for<'hc> [u64; N]: ::hybridcache::__private::KeyPart,
        for<'hc> Vec<T>: ::hybridcache::__private::CacheValue,
    {
        Self::__cache::<T, N>().clear().await
    }
    "##);
}

#[test]
fn computed_key_and_pattern() {
    let item = quote! { fn page(State(db): State<Db>, path: Cow<'_, str>, lang: Option<&str>) -> Option<Page> { db.page(&path, lang) } };
    let args = quote!(key(path: String = path.to_lowercase(), lang, shard: u32 = db.shard));
    assert_snapshot!(parts(args, item, &["__cache", "evict", "uncached"]), @r##"
    const _: [(); ::hybridcache::__private::assert_value::<Page>()] = [];
    #[doc(hidden)]
    fn __cache() -> ::hybridcache::__private::Found<
        (String, ::core::option::Option<::std::string::String>, u32),
        Page,
    > {
        static __HC: ::hybridcache::__private::PlainSite<
            (String, ::core::option::Option<::std::string::String>, u32),
            Page,
        > = ::hybridcache::__private::PlainSite::new();
        __HC.cache(|| __HC.builder(::hybridcache::__private::path_beside::<Self>("page")))
    }
    ///Removes the entry of these arguments.
    fn evict(
        arg0: &State<Db>,
        path: &str,
        lang: &Option<&str>,
    ) -> ::core::result::Result<::hybridcache::Evicted, ::hybridcache::Error> {
        let __hc_key_path: String = { path.to_lowercase() };
        let __hc_key_shard: u32 = {
            #[allow(unused_variables)]
            let State(db) = arg0;
            db.shard
        };
        let __hc_result = Self::__cache()
            .blocking()
            .evict((
                &__hc_key_path,
                lang.as_ref().map(|__hc_item| *__hc_item),
                &__hc_key_shard,
            ));
        __hc_result
    }
    ///The body itself, past the cache.
    #[allow(
        clippy::missing_errors_doc,
        clippy::missing_panics_doc,
        clippy::must_use_candidate,
        clippy::missing_const_for_fn
    )]
    fn uncached(
        State(db): State<Db>,
        path: Cow<'_, str>,
        lang: Option<&str>,
    ) -> Option<Page> {
        db.page(&path, lang)
    }
    "##);
}

#[test]
fn raw_name_without_handle() {
    let item = quote! { #[inline] fn r#type(r#in: u64) -> String { format!("{}", r#in) } };
    assert_snapshot!(cached(quote!(handle = false, when = r#in > 0), item), @r##"
    #[inline]
    fn r#type(r#in: u64) -> String {
        let __hc_cache = {
            static __HC: ::hybridcache::__private::Site = ::hybridcache::__private::Site::new();
            __HC.cache(|| ::hybridcache::Cache::<
                u64,
                String,
            >::builder(::hybridcache::__private::path_here(&|| ())))
        };
        let __hc_when: bool = r#in > 0;
        let __hc_lookup = if __hc_when {
            ::core::option::Option::Some(__hc_cache.__lookup(&r#in, || ()))
        } else {
            __hc_cache.__bypassed();
            ::core::option::Option::None
        };
        let __hc_result = match __hc_lookup {
            ::core::option::Option::Some(::hybridcache::__private::Lookup::Hit(__hc_hit)) => {
                __hc_hit
            }
            __hc_other => {
                let __hc_load = ::hybridcache::__private::once(move || -> String {
                    format!("{}", r#in)
                });
                match __hc_other {
                    ::core::option::Option::Some(
                        ::hybridcache::__private::Lookup::Miss(__hc_miss),
                    ) => {
                        let __hc_share = ::hybridcache::__share!(String, String);
                        __hc_miss.load_blocking(__hc_share, __hc_load)
                    }
                    _ => __hc_load(),
                }
            }
        };
        __hc_result
    }
    "##);
}

#[test]
fn refreshed_ahead() {
    let item = quote! { async fn user(pool: &Pool, id: u64, lang: Option<&str>) -> Result<User, DbError> { pool.user(id, lang).await } };
    let args = quote!(ttl = "60s", refresh_ahead = 0.8, skip(pool), share_err = DbError::duplicate);
    assert_snapshot!(wrapper(&cached(args, item)), @r##"
    const _: [(); ::hybridcache::__private::assert_value::<User>()] = [];
    async fn user(pool: &Pool, id: u64, lang: Option<&str>) -> Result<User, DbError> {
        let __hc_share = ::hybridcache::__private::Share::<
            <Result<User, DbError> as ::hybridcache::__private::Returned<User>>::Error,
        >::with(DbError::duplicate);
        let __hc_result = match user::__cache()
            .__lookup_ahead((&id, lang.as_ref().map(|__hc_item| *__hc_item)), __hc_share)
        {
            ::hybridcache::__private::Ahead::Hit(__hc_hit) => __hc_hit,
            ::hybridcache::__private::Ahead::Due(__hc_hit, __hc_due) => {
                let __hc_own0 = <Pool as ::std::borrow::ToOwned>::to_owned(pool);
                let __hc_own2 = lang
                    .map(|__hc_item| <str as ::std::borrow::ToOwned>::to_owned(__hc_item));
                __hc_due
                    .spawn(async move {
                        user::uncached(
                                ::core::borrow::Borrow::<Pool>::borrow(&__hc_own0),
                                id,
                                __hc_own2
                                    .as_ref()
                                    .map(|__hc_item| ::core::borrow::Borrow::<
                                        str,
                                    >::borrow(__hc_item)),
                            )
                            .await
                    });
                __hc_hit
            }
            ::hybridcache::__private::Ahead::Miss(__hc_miss) => {
                __hc_miss.load(__hc_share, move || user::uncached(pool, id, lang)).await
            }
        };
        __hc_result
    }
    "##);
}

#[test]
fn bypassed_and_given_a_cache() {
    assert_snapshot!(parts(quote!(when = id != 0, cache = &USERS), user(), &["__cache"]), @r##"
    const _: [(); ::hybridcache::__private::assert_value::<User>()] = [];
    #[doc(hidden)]
    pub fn __cache() -> ::hybridcache::__private::Found<(u64, ::std::string::String), User> {
        ::hybridcache::__private::Resolved::Owned({
            let __hc_given: &::hybridcache::Cache<(u64, ::std::string::String), User> = &(&USERS);
            ::core::clone::Clone::clone(__hc_given)
        })
    }
    "##);
}

/// What a build of the runtime may lack stands as a macro, at the place that asked for it.
#[test]
fn on_a_remote_tier() {
    let args = quote!(ttl = "60s", tier = hybrid, codec = json, compress = lz4, consistency = strict);
    assert_snapshot!(parts(args, user(), &["__cache"]), @r##"
    const _: [(); ::hybridcache::__private::assert_value::<User>()] = [];
    #[doc(hidden)]
    pub fn __cache() -> ::hybridcache::__private::Found<(u64, ::std::string::String), User> {
        static __HC: ::hybridcache::__private::PlainSite<
            (u64, ::std::string::String),
            User,
        > = ::hybridcache::__private::PlainSite::new();
        __HC.cache(|| {
            ::hybridcache::__redis!(
                __HC.builder(::hybridcache::__private::path_beside:: < Self > ("user"))
                .ttl(::core::time::Duration::from_secs(60)).hybrid(::hybridcache::__json!())
                .compress(::hybridcache::__lz4!())
                .consistency(::hybridcache::Consistency::Strict)
            )
        })
    }
    "##);
}

#[test]
fn types_on_a_remote_tier_are_asked_for_more() {
    let expanded = |args| {
        let item = quote! { fn pages(of: Id, below: &Path, upto: u64) -> Vec<u64> { load(of, below, upto) } };
        cached(args, item).split_whitespace().collect::<String>()
    };
    let text = expanded(quote!(sliding = "5m", tier = redis));
    for part in [
        "assert_spelled::<Id>()",
        "assert_spelled_target::<Path>()",
        "assert_encoded::<Vec<u64>,::hybridcache::__msgpack!(type)",
        "for<'hc>::hybridcache::__msgpack!(type):::hybridcache::__private::Codec<Vec<u64>>",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let text = expanded(quote!(sliding = "5m", tier = redis, codec = Packed));
    assert!(text.contains(".redis(Packed)") && !text.contains("assert_encoded"), "the builder asks: {text}");
}
