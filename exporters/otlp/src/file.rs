//! The file variant: each batch is a line of JSON.
//!
//! spec: protocol/file-exporter.md

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
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
///
/// A line that could not be written to its end, on a full disk for example, is an error of its batch. It is closed before
/// the next batch, so that a reader loses that line and no other.
pub struct JsonLines<S: Encode> {
    writer: Option<Box<dyn Write + Send>>,
    destination: String,
    cache: S::Cache,
    line: Vec<u8>,
    /// The last line has a beginning and no end.
    is_torn: bool,
}

impl<S: Encode> JsonLines<S> {
    /// Writes into `writer`, as a rule with one `write` for each batch.
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        JsonLines {
            writer: Some(Box::new(writer)),
            destination: "JSON lines to a writer".to_owned(),
            cache: S::Cache::default(),
            line: Vec::new(),
            is_torn: false,
        }
    }

    /// Appends to the file at `path`, which is made when it does not exist. A file must be of one signal.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn to_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
            ConfigError::invalid("path", path.to_string_lossy(), "a file that can be written").with_source(error)
        })?;
        Ok(JsonLines {
            // A file that cannot be read is taken to be whole.
            is_torn: ends_within_a_line(path).unwrap_or(false),
            destination: format!("JSON lines to {}", path.display()),
            ..Self::to_writer(file)
        })
    }
}

/// Returns true for a file whose last line was not written to its end, such as that of a program that was killed.
fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    // Anything else, a pipe above all, must not be read from.
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
        if self.is_torn {
            self.line.push(b'\n');
        }
        let start = self.line.len();
        S::json(batch, &mut self.cache, &mut self.line);
        self.line.push(b'\n');
        let (written, result) = write(writer, &self.line);
        self.is_torn = match &result {
            Ok(()) => false,
            Err(_) if written == 0 => self.is_torn,
            // The end of the torn line may be all that was written.
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

/// Writes everything, or returns how much was written before the error.
fn write(writer: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match writer.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            // A writer that claims more than it was given must not make us panic.
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
