//! Methods: nothing stands beside them but functions.

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;

use super::{inside, wrapper};
use crate::attribute;

fn method(args: TokenStream, item: TokenStream) -> String {
    inside(attribute::cached(args, item))
}

#[test]
fn inherent() {
    let item = quote! { pub async fn user(&self, mut id: u64) -> Result<User, DbError> { self.db.user(id).await } };
    assert_snapshot!(method(quote!(skip(self), ttl = "60s"), item), @r##"
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    #[doc(hidden)]
    #[allow(trivial_bounds)]
    pub fn __hc_user_site() -> ::hybridcache::__private::Found<u64, User>
    where
        ::hybridcache::__private::Valued<User>: ::core::marker::Sized,
    {
        static __HC: ::hybridcache::__private::Site = ::hybridcache::__private::Site::new();
        __HC.cache(|| {
            ::hybridcache::Cache::<
                u64,
                User,
            >::builder(::std::format!("{}::user", ::core::any::type_name:: < Self > ()))
                .ttl(::core::time::Duration::from_secs(60))
        })
    }
    pub async fn user(&self, id: u64) -> Result<User, DbError> {
        let __hc_cache = Self::__hc_user_site();
        let __hc_result = match __hc_cache.__lookup(&id, || ()) {
            ::hybridcache::__private::Lookup::Hit(__hc_hit) => __hc_hit,
            ::hybridcache::__private::Lookup::Miss(__hc_miss) => {
                let __hc_share = ::hybridcache::__share!(Result < User, DbError >, User);
                __hc_miss
                    .load(
                        __hc_share,
                        move || async move {
                            #[allow(
                                unknown_lints,
                                unreachable_code,
                                clippy::diverging_sub_expression,
                                clippy::empty_loop,
                                clippy::let_unit_value,
                                clippy::needless_return
                            )]
                            if false {
                                let __hc_fake: Result<User, DbError> = loop {};
                                return __hc_fake;
                            }
                            let mut id = id;
                            self.db.user(id).await
                        },
                    )
                    .await
            }
        };
        __hc_result
    }
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    ///The cache of `user()`.
    pub fn user_cache() -> ::hybridcache::Cache<u64, User> {
        Self::__hc_user_site().to_cache()
    }
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    ///The key of `user()` for these arguments.
    pub fn user_key(id: &u64) -> u64 {
        ::hybridcache::Key::to_owned_key(&id)
    }
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    #[doc(hidden)]
    pub fn __hc_user_cache(&self) -> ::hybridcache::Cache<u64, User> {
        Self::user_cache()
    }
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    #[doc(hidden)]
    pub fn __hc_user_key(&self, id: &u64) -> u64 {
        Self::user_key(id)
    }
    "##);
}

#[test]
fn with_a_cache_of_the_instance() {
    let item = quote! { pub fn user(&self, id: u64) -> User { self.db.user(id) } };
    assert_snapshot!(method(quote!(cache = self.users, key(tenant: u32 = self.tenant, id), handle = users), item), @r##"
    pub fn user(&self, id: u64) -> User {
        let __hc_given: &::hybridcache::Cache<(u32, u64), User> = &(self.users);
        let __hc_cache = ::hybridcache::__private::Resolved::of(__hc_given);
        let __hc_key_tenant: u32 = { self.tenant };
        let __hc_result = match __hc_cache.__lookup((&__hc_key_tenant, &id), || ()) {
            ::hybridcache::__private::Lookup::Hit(__hc_hit) => __hc_hit,
            ::hybridcache::__private::Lookup::Miss(__hc_miss) => {
                let __hc_share = ::hybridcache::__share!(User, User);
                __hc_miss.load_blocking(__hc_share, move || -> User { self.db.user(id) })
            }
        };
        __hc_result
    }
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    ///The cache of `user()`.
    pub fn users_cache(&self) -> ::hybridcache::Cache<(u32, u64), User> {
        let __hc_given: &::hybridcache::Cache<(u32, u64), User> = &(self.users);
        ::core::clone::Clone::clone(__hc_given)
    }
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    ///The key of `user()` for these arguments.
    pub fn users_key(&self, id: &u64) -> (u32, u64) {
        let __hc_key_tenant: u32 = { self.tenant };
        ::hybridcache::Key::to_owned_key(&(&__hc_key_tenant, id))
    }
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    #[doc(hidden)]
    pub fn __hc_users_cache(&self) -> ::hybridcache::Cache<(u32, u64), User> {
        self.users_cache()
    }
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    #[doc(hidden)]
    pub fn __hc_users_key(&self, id: &u64) -> (u32, u64) {
        self.users_key(id)
    }
    "##);
}

#[test]
fn refreshed_ahead() {
    let item = quote! { pub async fn user(self: &Arc<Self>, id: u64) -> User { self.db.user(id).await } };
    let text = method(quote!(skip(self), ttl = "60s", refresh_ahead = "80%"), item);
    assert_snapshot!(wrapper(&text), @r##"
    #[allow(dead_code, unused_lifetimes, clippy::all, clippy::pedantic, clippy::nursery)]
    #[doc(hidden)]
    #[allow(trivial_bounds)]
    pub fn __hc_user_site() -> ::hybridcache::__private::Found<u64, User>
    where
        ::hybridcache::__private::Valued<User>: ::core::marker::Sized,
    {
        static __HC: ::hybridcache::__private::Site = ::hybridcache::__private::Site::new();
        ::hybridcache::__private::assert_plain!(User);
        __HC.cache(|| {
            ::hybridcache::Cache::<
                u64,
                User,
            >::builder(::std::format!("{}::user", ::core::any::type_name:: < Self > ()))
                .ttl(::core::time::Duration::from_secs(60))
                .refresh_ahead(0.8)
        })
    }
    "##);
    assert!(text.contains("fn __hc_user_uncached("), "{text}");
}

#[test]
fn associated_without_self() {
    let text = method(quote!(handle = Self), quote! { fn all() -> Vec<User> { load() } });
    assert!(text.contains("fn all_cache() ->") && text.contains("fn all_key() -> () {"), "{text}");
    assert!(!text.contains("&self"), "{text}");
}

#[test]
fn of_async_trait() {
    let item = quote! {
        fn user<'life0, 'async_trait>(&'life0 self, id: u64) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = Option<User>> + ::core::marker::Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait
        {
            Box::pin(async move { self.db.user(id).await })
        }
    };
    assert_snapshot!(method(quote!(skip(self)), item), @r##"
    fn user<'life0, 'async_trait>(
        &'life0 self,
        id: u64,
    ) -> ::core::pin::Pin<
        Box<
            dyn ::core::future::Future<
                Output = Option<User>,
            > + ::core::marker::Send + 'async_trait,
        >,
    >
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        ::std::boxed::Box::pin(async move {
            let __hc_cache = {
                static __HC: ::hybridcache::__private::Site = ::hybridcache::__private::Site::new();
                let _ = ::hybridcache::__private::assert_value::<User>();
                __HC.cache(|| ::hybridcache::Cache::<
                    u64,
                    User,
                >::builder(::hybridcache::__private::path_here(&|| ())))
            };
            let __hc_result = match __hc_cache.__lookup(&id, || ()) {
                ::hybridcache::__private::Lookup::Hit(__hc_hit) => __hc_hit,
                ::hybridcache::__private::Lookup::Miss(__hc_miss) => {
                    let __hc_share = ::hybridcache::__share!(Option < User >, User);
                    __hc_miss
                        .load(
                            __hc_share,
                            move || -> ::core::pin::Pin<
                                Box<
                                    dyn ::core::future::Future<
                                        Output = Option<User>,
                                    > + ::core::marker::Send + 'async_trait,
                                >,
                            > { Box::pin(async move { self.db.user(id).await }) },
                        )
                        .await
                }
            };
            __hc_result
        })
    }
    "##);
}
