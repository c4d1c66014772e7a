//! The error of an expansion: a message, its location, and the item to compile instead.

use std::fmt;

use proc_macro2::{Span, TokenStream};
use quote::quote;

/// A use of `#[traced]` that cannot be expanded.
///
/// `Display` is the message that the compiler shows.
#[derive(Clone, Debug)]
pub struct Error {
    cause: syn::Error,
    item: TokenStream,
}

impl Error {
    pub(crate) fn new(cause: syn::Error, item: TokenStream) -> Self {
        Error { cause, item }
    }

    /// Returns the location of the mistake, in the options or in the item.
    pub fn span(&self) -> Span {
        self.cause.span()
    }

    /// Returns the item without tracing: the original item, without the `#[traced]` attributes inside a block.
    pub fn item(&self) -> &TokenStream {
        &self.item
    }

    /// Returns a `compile_error!` with the message, followed by the item. With the item in place, the compiler reports only
    /// this error, without an additional one about a missing function.
    pub fn into_compile_error(self) -> TokenStream {
        let (error, item) = (self.cause.into_compile_error(), self.item);
        quote!(#error #item)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use crate::expand;

    #[test]
    fn an_error_carries_the_item_without_the_attributes_inside() {
        let item = "impl Cart { #[traced(root)] fn total(&self) -> u32 { 7 } }";
        let error = expand("name = \"x\"".parse().unwrap(), item.parse().unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("`name` belongs on one function"), "{error}");
        let kept = error.item().to_string();
        assert_eq!(kept, "impl Cart { fn total (& self) -> u32 { 7 } }");
        let compiled = error.into_compile_error().to_string();
        assert!(compiled.contains("compile_error") && compiled.ends_with(&kept), "{compiled}");
    }
}
