//! Redaction: values are hidden before any exporter sees them.
//!
//! | file | owns |
//! |---|---|
//! | `redactor` | the trait [`Redactor`], the seam |
//! | `shared` | a redactor that the signals share, applied to lists, scopes and resources |

mod redactor;
mod shared;

pub use redactor::Redactor;
pub(crate) use shared::{Redaction, shown, widened};
