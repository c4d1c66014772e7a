//! Telemark.

pub use telemark_macros::traced;
#[doc(hidden)]
pub use telemark_sdk::traced::private as __private;
