//! The exporters of the scenarios: one writes a line per span to a file, another one keeps nothing.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use telemark::ExportError;
use telemark_sdk::signal::{Signal, Traces};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportReport, Exporter};

/// Writes the name and status of each span, and a final line at shutdown.
pub(crate) struct Lines {
    path: PathBuf,
    file: Option<File>,
}

impl Lines {
    pub(crate) fn new(path: &Path) -> Self {
        Lines { path: path.to_owned(), file: None }
    }

    fn write(&mut self, lines: &str) -> Result<(), ExportError> {
        let failed = |error| ExportError::other("the file cannot be written").with_source(error);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().create(true).append(true).open(&self.path).map_err(failed)?),
        };
        file.write_all(lines.as_bytes()).map_err(failed)
    }
}

impl Exporter<Traces> for Lines {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        let lines = batch.iter().map(|span| match span.status() {
            opentelemetry::trace::Status::Error { description } => format!("{}: error {description:?}\n", span.name()),
            _ => format!("{}\n", span.name()),
        });
        let lines: String = lines.collect();
        self.write(&lines)?;
        Ok(ExportReport::accepted())
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.write("(shut down)\n")
    }
}

/// Accepts everything and keeps nothing.
pub(crate) struct Nowhere;

impl<S: Signal> Exporter<S> for Nowhere {
    fn export(&mut self, _: Batch<'_, S>, _: Deadline) -> Result<ExportReport, ExportError> {
        Ok(ExportReport::accepted())
    }
}
