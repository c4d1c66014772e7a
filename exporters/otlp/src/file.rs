//! The file variant: each batch is a line of JSON.
//!
//! spec: protocol/file-exporter.md

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ConfigError, ExportError, ExportReport, Exporter};

use crate::encode::Encode;

/// Writes batches as lines of JSON, which collectors and other tools can read back.
///
/// ```
/// use telemark_otlp::JsonLines;
/// use telemark_sdk::signal::Traces;
///
/// let exporter = JsonLines::<Traces>::to_writer(std::io::stdout());
/// ```
pub struct JsonLines<S: Encode> {
    writer: Option<Box<dyn Write + Send>>,
    cache: S::Cache,
    line: Vec<u8>,
}

impl<S: Encode> JsonLines<S> {
    /// Writes into `writer`, one `write_all` per batch.
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        JsonLines { writer: Some(Box::new(writer)), cache: S::Cache::default(), line: Vec::new() }
    }

    /// Appends to the file at `path`, which is made if there is none. A file must be of one signal.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn to_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
            ConfigError::invalid("path", path.to_string_lossy(), "a file that can be written").with_source(error)
        })?;
        Ok(Self::to_writer(file))
    }
}

impl<S: Encode> fmt::Debug for JsonLines<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").field("signal", &S::NAME).finish_non_exhaustive()
    }
}

impl<S: Encode> Exporter<S> for JsonLines<S> {
    fn export(&mut self, batch: Batch<'_, S>, _: Deadline) -> Result<ExportReport, ExportError> {
        let writer = self.writer.as_mut().ok_or_else(ExportError::shutdown)?;
        if batch.items.is_empty() {
            return Ok(ExportReport::accepted());
        }
        self.line.clear();
        S::json(batch, &mut self.cache, &mut self.line);
        self.line.push(b'\n');
        writer.write_all(&self.line).map_err(failed)?;
        Ok(ExportReport::accepted())
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.flush().map_err(failed))
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let flushed = self.flush(deadline);
        self.writer = None;
        flushed
    }
}

fn failed(error: std::io::Error) -> ExportError {
    ExportError::other("the JSON line could not be written").with_source(error)
}
