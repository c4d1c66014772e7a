//! The seam to the outside: an [`Exporter`] sends one [`Batch`] at a time.
//!
//! | file | owns |
//! |---|---|
//! | `exporter` | the trait |
//! | `batch` | the batch that it is given |
//! | `guarded` | the only place that calls an exporter: a panic becomes an error, and every item is counted |

mod batch;
mod exporter;
mod guarded;

pub use crate::error::report::ExportReport;
pub use batch::Batch;
pub use exporter::Exporter;
pub(crate) use exporter::type_name;
pub(crate) use guarded::Guarded;
