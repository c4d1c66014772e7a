//! Text: foreign text made harmless, secrets hidden, and the encodings of headers and variables.
//!
//! | file | owns |
//! |---|---|
//! | `foreign` | adapters that clean text before a person sees it, and [`Secrecy`] |
//! | `hex` | ids and flags as hexadecimal digits |
//! | `percent` | percent-encoding of variables and headers |

mod foreign;
pub(crate) mod hex;
pub(crate) mod percent;

pub use foreign::{Cleaned, Foreign, MAX_SHOWN, Secrecy, Url, display, foreign, is_harmful, url};
