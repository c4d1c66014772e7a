//! The seam to external systems: an [`Exporter`] sends one [`Batch`] at a time.
//!
//! | file | owns |
//! |---|---|
//! | `exporter` | the trait, and the batch passed to it |
//! | `guarded` | the only place that calls exporters: turns panics into errors and counts every item |

mod exporter;
mod guarded;

pub use crate::error::report::ExportReport;
pub(crate) use exporter::type_name;
pub use exporter::{Batch, Exporter};
pub(crate) use guarded::Guarded;
