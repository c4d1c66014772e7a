//! The trace exporter, which assembles spans into traces and prints them.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use telemark_sdk::config::Env;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use super::trees::{Kind, Shared, shared_stdout};
use crate::ConsoleLogExporter;
use crate::output::{Color, Output};

/// Prints traces as readable trees, for development. If log records go to the same output, they are printed inside the trees.
///
/// Writing blocks for as long as the output does. A pipe that is not read blocks the SDK's thread, but never
/// the application.
///
/// ```
/// use std::time::Duration;
/// use telemark_console::{Color, ConsoleTraceExporter};
///
/// let exporter = ConsoleTraceExporter::stdout().with_color(Color::Never).with_width(120).with_hold(Duration::ZERO);
/// # let _ = exporter;
/// ```
pub struct ConsoleTraceExporter {
    trees: Shared,
}

impl ConsoleTraceExporter {
    /// Creates an exporter that prints to standard output, configured by the process environment.
    pub fn stdout() -> Self {
        Self::from_env(&Env::process())
    }

    /// Creates an exporter that prints to standard output. Disables colours if `NO_COLOR` has any value, and
    /// takes the line width from `COLUMNS`. All exporters to standard output share their settings.
    pub fn from_env(env: &Env) -> Self {
        let exporter = Self::new(shared_stdout(env));
        // `COLUMNS` is set by the shell rather than the user, so an invalid number deserves no warning.
        match env.string("COLUMNS").and_then(|columns| columns.parse().ok()) {
            Some(width) => exporter.with_width(width),
            None => exporter,
        }
    }

    /// Creates an exporter that prints to `out`, without colours unless [`Self::with_color`] enables them.
    pub fn to_writer(out: impl Write + Send + 'static) -> Self {
        Self::new(Shared::new(Output::for_writer(out)))
    }

    fn new(trees: Shared) -> Self {
        trees.join(Kind::Traces);
        ConsoleTraceExporter { trees }
    }

    /// Returns an exporter of log records that prints them inside the trees of this exporter, to the same output.
    ///
    /// ```
    /// use telemark_console::ConsoleTraceExporter;
    ///
    /// let traces = ConsoleTraceExporter::to_writer(std::io::sink());
    /// let logs = traces.log_exporter();
    /// # let _ = (traces, logs);
    /// ```
    pub fn log_exporter(&self) -> ConsoleLogExporter {
        ConsoleLogExporter::new(self.trees.clone())
    }

    /// Chooses between coloured and plain output.
    pub fn with_color(self, color: Color) -> Self {
        {
            let trees = &mut *self.trees.lock();
            trees.look.is_colored = trees.output.is_colored(color);
        }
        self
    }

    /// Sets the line width in characters, from 40 to 1000. Defaults to 100.
    pub fn with_width(self, width: usize) -> Self {
        self.trees.lock().look.width = width.clamp(40, 1000);
        self
    }

    /// Shows all attributes unchanged. By default, the console omits `code.*`, `thread.*`, `network.*`,
    /// `server.*`, `client.*`, `user_agent.*`, `url.scheme`, stack traces, and attributes repeated by the name
    /// of an HTTP span. It also shows `http.response.status_code` as a bare number.
    pub fn with_all_attributes(self) -> Self {
        self.trees.lock().look.shows_all = true;
        self
    }

    /// Sets how long a trace waits for parents that have not ended. Defaults to 5 seconds; zero prints every
    /// batch immediately. Log records wait for their trace for at most twice this time.
    ///
    /// A trace whose time is up is printed with the next batch or flush; if log records are printed as well, about that time.
    pub fn with_hold(self, hold: Duration) -> Self {
        self.trees.lock().hold = hold;
        self
    }
}

impl Exporter<Traces> for ConsoleTraceExporter {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        self.trees.add_spans(batch)?;
        Ok(ExportReport::accepted())
    }

    /// Prints all waiting traces. With an exporter of log records on the same output, leaves that to its flush, which comes after
    /// this one when a program flushes or ends, and otherwise prints them after about a second.
    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.trees.lock().flush_traces()
    }

    fn destination(&self) -> String {
        self.trees.lock().output.destination()
    }
}

impl Drop for ConsoleTraceExporter {
    fn drop(&mut self) {
        self.trees.leave(Kind::Traces);
    }
}

impl fmt::Debug for ConsoleTraceExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trees = self.trees.lock();
        f.debug_struct("ConsoleTraceExporter")
            .field("look", &trees.look)
            .field("hold", &trees.hold)
            .finish_non_exhaustive()
    }
}
