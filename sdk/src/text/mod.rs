//! Text: makes foreign text harmless, hides secrets, and implements the encodings used in headers and variables.
//!
//! | file | owns |
//! |---|---|
//! | `counted` | numbers of items in messages |
//! | `foreign` | adapters that clean text before it is shown to a person, and [`Secrecy`] |
//! | `hex` | ids and flags as hexadecimal digits |
//! | `pattern` | patterns of names, with `*` and `?` |
//! | `percent` | percent-encoding in variables and headers |
//! | `words` | searches text at word boundaries |

mod counted;
mod foreign;
pub(crate) mod hex;
mod pattern;
pub(crate) mod percent;
mod words;

pub(crate) use counted::counted;
pub use foreign::{Cleaned, Foreign, MAX_SHOWN, Secrecy, Url, display, foreign, is_harmful, url};
pub use pattern::Patterns;
pub(crate) use pattern::matches_pattern;
pub(crate) use words::contains;
