//! `#[cache_evict]` and `#[cache_put]`.

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;

use super::{inside, pretty};
use crate::attribute;

fn evict(args: TokenStream, item: TokenStream) -> String {
    pretty(attribute::cache_evict(args, item))
}

fn put(args: TokenStream, item: TokenStream) -> String {
    pretty(attribute::cache_put(args, item))
}

#[test]
fn evicted_after_success() {
    let item =
        quote! { async fn rename(id: u64, name: String) -> Result<User, DbError> { db().rename(id, name).await } };
    let args = quote!(
        db::user(id, "en"),
        users::<All>(..),
        self.page(id + 1),
        named("pages", id, "en"),
        user(result.id, "de")
    );
    assert_snapshot!(evict(args, item), @r##"
    async fn rename(id: u64, name: String) -> Result<User, DbError> {
        let mut __hc_evicting = ::hybridcache::__private::Evict::new();
        __hc_evicting
            .add(
                ::hybridcache::__private::At::new(
                    <db::user>::cache(),
                    <db::user>::key(&id, &"en"),
                ),
            );
        __hc_evicting.add(::hybridcache::__private::All::new(<users>::cache::<All>()));
        __hc_evicting
            .add(
                ::hybridcache::__private::At::new(
                    self.__hc_page_cache(),
                    self.__hc_page_key(&(id + 1)),
                ),
            );
        __hc_evicting
            .add({
                #[allow(unused_imports)]
                use ::std::borrow::ToOwned as _;
                ::hybridcache::__private::Named::one(
                    "pages",
                    ((id).to_owned(), ("en").to_owned()),
                )
            });
        __hc_evicting.arm();
        let __hc_result = async move {
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
            db().rename(id, name).await
        }
            .await;
        let __hc_succeeded = match ::hybridcache::__private::payload!(& __hc_result) {
            #[allow(unused_variables)]
            ::core::option::Option::Some(result) => {
                __hc_evicting
                    .add(
                        ::hybridcache::__private::At::new(
                            <user>::cache(),
                            <user>::key(&result.id, &"de"),
                        ),
                    );
                true
            }
            ::core::option::Option::None => false,
        };
        if __hc_succeeded {
            __hc_evicting.finish().await;
        } else {
            __hc_evicting.disarm();
        }
        __hc_result
    }
    "##);
}

#[test]
fn evicted_before_and_always() {
    let item = || quote! { fn rename(&self, id: u64) { self.db.rename(id) } };
    assert_snapshot!(inside(attribute::cache_evict(quote!(Self::user(id), before), item())), @r##"
    fn rename(&self, id: u64) {
        let mut __hc_evicting = ::hybridcache::__private::Evict::new();
        __hc_evicting
            .add(
                ::hybridcache::__private::At::new(
                    Self::user_cache(),
                    Self::user_key(&id),
                ),
            );
        __hc_evicting.finish_blocking();
        let __hc_result = ::hybridcache::__private::once(move || -> () {
            self.db.rename(id)
        })();
        __hc_result
    }
    "##);
    assert_snapshot!(inside(attribute::cache_evict(quote!(<Repo<T>>::user(..), on = always), item())), @r##"
    fn rename(&self, id: u64) {
        let mut __hc_evicting = ::hybridcache::__private::Evict::new();
        __hc_evicting.add(::hybridcache::__private::All::new(<Repo<T>>::user_cache()));
        __hc_evicting.arm();
        let __hc_result = ::hybridcache::__private::once(move || -> () {
            self.db.rename(id)
        })();
        let _ = ::hybridcache::__private::payload!(& __hc_result);
        __hc_evicting.finish_blocking();
        __hc_result
    }
    "##);
}

#[test]
fn put_with_a_lease_and_a_ticket() {
    let item = quote! { async fn update(id: u64, new: Patch) -> Result<User, DbError> { db().update(id, new).await } };
    assert_snapshot!(put(quote!(user(id, "en") = result.clone(), by_name(&result.name) = result.id), item), @r##"
    async fn update(id: u64, new: Patch) -> Result<User, DbError> {
        let __hc_put0 = ::hybridcache::__private::At::new(
                <user>::cache(),
                <user>::key(&id, &"en"),
            )
            .write()
            .await;
        let __hc_put1 = <by_name>::cache().__ticket();
        let __hc_result = async move {
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
            db().update(id, new).await
        }
            .await;
        let __hc_values = match ::hybridcache::__private::payload!(& __hc_result) {
            #[allow(unused_variables)]
            ::core::option::Option::Some(result) => {
                ::core::option::Option::Some((
                    result.clone(),
                    (
                        ::hybridcache::__private::At::new(
                            <by_name>::cache(),
                            <by_name>::key(&(&result.name)),
                        ),
                        result.id,
                    ),
                ))
            }
            ::core::option::Option::None => ::core::option::Option::None,
        };
        match __hc_values {
            ::core::option::Option::Some((__hc_value0, (__hc_at1, __hc_value1))) => {
                ::hybridcache::__private::reported(__hc_put0.put(__hc_value0).await);
                ::hybridcache::__private::reported(
                    __hc_put1.put(__hc_at1, __hc_value1).await,
                );
            }
            ::core::option::Option::None => {
                __hc_put0.cancel();
            }
        }
        __hc_result
    }
    "##);
}

#[test]
fn put_from_a_blocking_function() {
    let item = quote! { fn reset(id: u64) { db().reset(id) } };
    assert_snapshot!(put(quote!(counter(id) = 0), item), @r##"
    fn reset(id: u64) {
        let __hc_put0 = ::hybridcache::__private::At::new(
                <counter>::cache(),
                <counter>::key(&id),
            )
            .write_blocking();
        let __hc_result = ::hybridcache::__private::once(move || -> () { db().reset(id) })();
        let __hc_values = match ::hybridcache::__private::payload!(& __hc_result) {
            #[allow(unused_variables)]
            ::core::option::Option::Some(_) => ::core::option::Option::Some((0,)),
            ::core::option::Option::None => ::core::option::Option::None,
        };
        match __hc_values {
            ::core::option::Option::Some((__hc_value0,)) => {
                ::hybridcache::__private::reported(__hc_put0.put_blocking(__hc_value0));
            }
            ::core::option::Option::None => {
                __hc_put0.cancel();
            }
        }
        __hc_result
    }
    "##);
}
