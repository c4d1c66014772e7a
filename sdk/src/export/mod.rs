//! The seam to external systems: an [`Exporter`] sends one [`Batch`] at a time.
//!
//! | file | owns |
//! |---|---|
//! | `exporter` | the trait |
//! | `batch` | the batch passed to an exporter |
//! | `guarded` | the only place that calls exporters: converts panics into errors and counts every item |

mod batch;
mod exporter;
mod guarded;

pub use crate::error::report::ExportReport;
pub use batch::Batch;
pub use exporter::Exporter;
pub(crate) use exporter::type_name;
pub(crate) use guarded::Guarded;
