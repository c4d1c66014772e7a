//! The trace exporter, which assembles spans into traces and prints them.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use telemark_sdk::config::Env;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SpanData;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource};

use crate::held::Held;
use crate::output::{Color, Output};
use crate::render::{self, Look};

/// Prints traces as readable trees, for development.
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
    output: Output,
    look: Look,
    hold: Duration,
    held: Held,
    /// The resource whose service was printed last.
    named: Option<Resource>,
}

impl ConsoleTraceExporter {
    /// Creates an exporter that prints to standard output, configured by the process environment.
    pub fn stdout() -> Self {
        Self::from_env(&Env::process())
    }

    /// Creates an exporter that prints to standard output. Disables colours if `NO_COLOR` has any value, and
    /// takes the line width from `COLUMNS`.
    pub fn from_env(env: &Env) -> Self {
        let exporter = Self::new(Output::for_stdout(env));
        // `COLUMNS` is set by the shell rather than the user, so an invalid number deserves no warning.
        match env.string("COLUMNS").and_then(|columns| columns.parse().ok()) {
            Some(width) => exporter.with_width(width),
            None => exporter,
        }
    }

    /// Creates an exporter that prints to `out`, without colours unless [`Self::with_color`] enables them.
    pub fn to_writer(out: impl Write + Send + 'static) -> Self {
        Self::new(Output::for_writer(out))
    }

    fn new(output: Output) -> Self {
        let look = Look { is_colored: output.is_colored(Color::Auto), width: 100, shows_all: false };
        ConsoleTraceExporter { output, look, hold: Duration::from_secs(5), held: Held::default(), named: None }
    }

    /// Chooses between coloured and plain output.
    pub fn with_color(mut self, color: Color) -> Self {
        self.look.is_colored = self.output.is_colored(color);
        self
    }

    /// Sets the line width in characters, from 40 to 1000. Defaults to 100.
    pub fn with_width(mut self, width: usize) -> Self {
        self.look.width = width.clamp(40, 1000);
        self
    }

    /// Shows all attributes unchanged. By default, the console omits `code.*`, `thread.*`, `network.*`,
    /// `server.*`, `client.*`, `user_agent.*`, `url.scheme`, stack traces, and attributes repeated by the name
    /// of an HTTP span. It also shows `http.response.status_code` as a bare number.
    pub fn with_all_attributes(mut self) -> Self {
        self.look.shows_all = true;
        self
    }

    /// Sets how long a trace waits for parents that have not ended. Defaults to 5 seconds; zero prints every
    /// batch immediately.
    ///
    /// A trace whose time is up is printed with the next batch or flush.
    pub fn with_hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    fn print(&mut self, traces: Vec<Vec<SpanData>>) -> Result<(), ExportError> {
        for spans in traces {
            self.output.write(&render::trace(&spans, self.look))?;
        }
        self.output.flush()
    }
}

impl Exporter<Traces> for ConsoleTraceExporter {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        if !self.named.as_ref().is_some_and(|named| named.is_same(batch.resource) || named == batch.resource) {
            // Waiting traces belong to the service printed before this one.
            let waiting = self.held.take_all();
            self.print(waiting)?;
            let gap = if self.named.is_some() { "\n" } else { "" };
            self.output.write(&format!("{gap}{}", render::service(batch.resource, self.look)))?;
            self.named = Some(batch.resource.clone());
        }
        self.held.add(batch, self.hold);
        let ready = self.held.take_ready();
        self.print(ready)?;
        Ok(ExportReport::accepted())
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        let waiting = self.held.take_all();
        self.print(waiting)
    }

    fn destination(&self) -> String {
        self.output.destination()
    }
}

impl fmt::Debug for ConsoleTraceExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleTraceExporter")
            .field("look", &self.look)
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}
