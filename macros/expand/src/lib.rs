//! The expansion of `#[traced]` as a library. Applications use the attribute through the `telemark` crate.
//!
//! [`expand`] turns the tokens inside `#[traced(...)]` and the item below it into the traced item. It runs without a
//! compiler, so a tool that rewrites sources produces the same code as the attribute:
//!
//! ```
//! use telemark_macros_expand::expand;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let expanded = expand("kind = server".parse()?, "fn price(cart: &str) -> u32 { 7 }".parse()?)?;
//! assert!(expanded.to_string().contains(":: telemark :: __private"));
//!
//! let error = expand("sort = server".parse()?, "fn price(cart: &str) -> u32 { 7 }".parse()?).unwrap_err();
//! assert!(error.to_string().starts_with("unknown option `sort`"));
//! # Ok(())
//! # }
//! ```
//!
//! The expansion refers to only one path: `::telemark::__private`, or `path::__private` with the option `crate = path`.
//! That module changes together with this crate, so use `telemark` in the same version.
//!
//! | file | owns |
//! |---|---|
//! | `item` | the item below the attribute: a function, or a block whose functions inherit its options |
//! | `blocks` | the functions that a block leaves out by default |
//! | `options`, `fields` | the grammar of the options |
//! | `parse` | the pieces of grammar shared by both |
//! | `foreign` | advice for options of other crates' attributes |
//! | `shape` | the kind of function: where it works, and what it returns |
//! | `check` | detection of options that do not fit the function |
//! | `body` | the new body of a function |
//! | `record` | the closures that inspect the output |
//! | `error` | [`Error`] |

mod blocks;
mod body;
mod check;
mod error;
mod fields;
mod foreign;
mod item;
mod options;
mod parse;
mod record;
mod shape;

use proc_macro2::TokenStream;

pub use error::Error;

/// Expands `#[traced(options)] item`.
///
/// `item` is a function, or an `impl`, `trait` or inline `mod` block; each `#[traced]` on a function or block inside it is
/// also expanded. Pass a method as part of its block, which gives the span the name of the type.
///
/// # Errors
/// Fails if `#[traced]` does not accept the options or the item. The first mistake is reported.
///
/// # Stack
/// The parser is recursive, so its stack use grows with the nesting depth of the source.
pub fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    item::expand(options, item)
}
