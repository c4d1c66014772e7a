//! The `#[traced]` attribute of Telemark. Use it through the `telemark` crate.
//!
//! | file | owns |
//! |---|---|
//! | `options`, `fields` | the grammar: what was written |
//! | `shape` | what kind of function it is on |
//! | `check` | whether the two fit |
//! | `expand` | the new body of a function |
//! | `item` | functions in blocks: options that are inherited, functions that are left out |

mod check;
mod expand;
mod fields;
mod item;
mod options;
mod shape;

use proc_macro::TokenStream;

/// Runs a function in a span.
///
/// ```
/// use telemark::traced;
///
/// #[traced]
/// fn checkout(cart: &str) -> Result<u32, std::num::ParseIntError> {
///     cart.parse()
/// }
///
/// #[traced(name = "charge card", kind = client, fields(payment.amount = amount, currency))]
/// async fn charge(amount: u32, currency: &str) {
/// #   let _ = (amount, currency);
///     // ...
/// }
/// # let _ = checkout("3");
/// ```
#[proc_macro_attribute]
pub fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    item::expand(options.into(), item.into()).into()
}
