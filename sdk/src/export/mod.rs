//! The seam to the outside: an [`Exporter`] sends one [`Batch`] at a time.
//!
//! | file | owns |
//! |---|---|
//! | `exporter` | the trait, and the batch that it is given |
//! | `guarded` | the only place that calls an exporter: a panic becomes an error, and every item is counted |

mod exporter;
mod guarded;

pub use crate::error::report::ExportReport;
pub(crate) use exporter::type_name;
pub use exporter::{Batch, Exporter};
pub(crate) use guarded::Guarded;
