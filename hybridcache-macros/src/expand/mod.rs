//! From the model to tokens. No decision is taken here that a rule could still object to.

mod behind;
mod body;
mod bounds;
mod evict;
mod generics;
mod handle;
mod key;
mod methods;
mod put;
mod site;
mod target;
mod wrapper;

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Cached, Companions};

pub(crate) use evict::evict;
pub(crate) use put::put;

pub(crate) fn cached(model: &Cached<'_>) -> TokenStream {
    let wrapper = wrapper::wrapper(model);
    match &model.companions {
        Companions::Struct(name) => {
            let (asked, handle) = (bounds::apart(model), handle::handle(model, name));
            quote!(#asked #wrapper #handle)
        }
        Companions::Functions(base) => {
            let (accessor, companions) = (methods::accessor(model, base), methods::companions(model, base));
            quote!(#accessor #wrapper #companions)
        }
        Companions::Nothing => wrapper,
    }
}

#[cfg(test)]
mod tests;
