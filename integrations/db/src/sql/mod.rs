//! The text of statements: what may be recorded of it, and a summary with few distinct values.
//!
//! | module | owns |
//! |---|---|
//! | `dialect` | [`Dialect`] |
//! | `lexer` | tokens |
//! | `keywords` | the words that matter for a summary |
//! | `summary` | operations and targets |
//! | `places` | the places where SQLite may read `"…"` as a string |
//! | `sanitize` | the text without literals and comments |
//! | `statement` | [`Statement`], both of them from one pass |
//! | `cache` | [`Statements`], which keeps them for the next call |

mod cache;
mod dialect;
mod keywords;
mod lexer;
mod places;
mod sanitize;
mod statement;
mod summary;

pub use cache::Statements;
pub use dialect::Dialect;
#[doc(hidden)]
pub use statement::count_tokens;
pub use statement::{MAX_ANALYZED_BYTES, Statement, sanitize, summary};
pub use summary::MAX_SUMMARY_CHARACTERS;
