//! Names and units, from OpenTelemetry's to those of Prometheus.

mod translation;
mod units;

pub use translation::TranslationStrategy;
pub(crate) use translation::{Kind, TOTAL, escape};
