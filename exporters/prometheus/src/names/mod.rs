//! Names and units: the translation from OpenTelemetry to Prometheus, and the escaping that a scraper asks for.

mod escaping;
mod translation;
mod units;

pub(crate) use escaping::{NameKind, escape};
pub(crate) use translation::TOTAL;
pub use translation::TranslationStrategy;
