//! The seam to the outside: an [`Exporter`] sends one [`Batch`] at a time.

mod exporter;

pub(crate) use exporter::type_name;
pub use exporter::{Batch, ExportReport, Exporter};
