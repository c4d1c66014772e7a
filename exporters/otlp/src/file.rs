//! The file exporter, which writes each batch as a line of JSON.
//!
//! spec: protocol/file-exporter.md

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ConfigError, ExportError, ExportReport, Exporter};

use crate::encode::Encode;
use crate::exporter::kept;

/// Writes batches as lines of JSON, which collectors and other tools can read.
///
/// ```
/// use telemark_otlp::JsonLinesExporter;
/// use telemark_sdk::signal::Traces;
///
/// # fn main() -> Result<(), telemark_sdk::ConfigError> {
/// let to_stdout = JsonLinesExporter::<Traces>::to_writer(std::io::stdout());
/// # let dir = std::env::temp_dir();
/// let to_file = JsonLinesExporter::<Traces>::to_file(dir.join("traces.jsonl"))?;
/// # let _ = (to_stdout, to_file);
/// # Ok(())
/// # }
/// ```
///
/// If a line cannot be written completely, for example because the disk is full, the export fails. The next export first
/// ends the incomplete line, so that readers lose only that line.
pub struct JsonLinesExporter<S: Encode> {
    writer: Option<Box<dyn Write + Send>>,
    destination: String,
    cache: S::Cache,
    line: Vec<u8>,
    /// True if the last line is incomplete.
    is_torn: bool,
}

impl<S: Encode> JsonLinesExporter<S> {
    /// Writes to `writer`, usually with one `write` call per batch.
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        JsonLinesExporter {
            writer: Some(Box::new(writer)),
            destination: "JSON lines to a writer".to_owned(),
            cache: S::Cache::default(),
            line: Vec::new(),
            is_torn: false,
        }
    }

    /// Appends to the file at `path`, which is created if it does not exist. Use a separate file for each signal.
    ///
    /// # Errors
    /// Fails if the file cannot be opened.
    pub fn to_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
            ConfigError::invalid("path", path.to_string_lossy(), "a file that can be written").with_source(error)
        })?;
        Ok(JsonLinesExporter {
            // A file that cannot be read is assumed to end with a complete line.
            is_torn: ends_within_a_line(path).unwrap_or(false),
            destination: format!("JSON lines to {}", path.display()),
            ..Self::to_writer(file)
        })
    }
}

/// Returns true if the last line of the file is incomplete, for example because the program writing it was killed.
fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    // Reading from anything else, such as a pipe, could block or consume data.
    let len = match std::fs::metadata(path)? {
        metadata if metadata.is_file() => metadata.len(),
        _ => return Ok(false),
    };
    let Some(last) = len.checked_sub(1) else { return Ok(false) };
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(last))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte != *b"\n")
}

impl<S: Encode> fmt::Debug for JsonLinesExporter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLinesExporter").field("signal", &S::NAME).finish_non_exhaustive()
    }
}

impl<S: Encode> Exporter<S> for JsonLinesExporter<S> {
    fn export(&mut self, batch: Batch<'_, S>, _: Deadline) -> Result<ExportReport, ExportError> {
        let writer = self.writer.as_mut().ok_or_else(ExportError::shutdown)?;
        if S::count(batch) == 0 {
            return Ok(ExportReport::accepted());
        }
        self.line.clear();
        if self.is_torn {
            self.line.push(b'\n');
        }
        let start = self.line.len();
        S::json(batch, &mut self.cache, &mut self.line);
        self.line.push(b'\n');
        let (written, result) = write(writer, &self.line);
        self.line = kept(std::mem::take(&mut self.line));
        self.is_torn = match &result {
            Ok(()) => false,
            Err(_) if written == 0 => self.is_torn,
            // Possibly only the line break that ends the incomplete line was written.
            Err(_) => written > start,
        };
        result.map_err(failed)?;
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

    fn destination(&self) -> String {
        self.destination.clone()
    }
}

/// Tries to write all bytes. Returns the number of bytes written, and an error if some could not be written.
fn write(writer: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match writer.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            // A writer that returns too large a count must not cause a panic.
            Ok(count) => written = (written + count).min(bytes.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

fn failed(error: io::Error) -> ExportError {
    ExportError::other("the JSON line could not be written").with_source(error)
}
