//! What is emitted for a mistake.

use proc_macro2::TokenStream;
use quote::quote;

/// The errors, and the function as it was written: who calls it gets no errors on top.
pub(crate) fn fallback(error: &syn::Error, item: &TokenStream) -> TokenStream {
    let errors = error.to_compile_error();
    quote!(#errors #item)
}
