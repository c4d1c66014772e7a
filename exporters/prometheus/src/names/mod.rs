//! Names and units: translation from OpenTelemetry to Prometheus, and escaping for the scraper.

mod escaping;
mod translation;
mod units;

pub(crate) use escaping::{NameKind, escape};
pub(crate) use translation::TOTAL;
pub use translation::TranslationStrategy;
