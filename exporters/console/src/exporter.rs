//! The exporter: collects spans to traces and writes them.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use telemark_sdk::config::Env;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SpanData;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource};

use crate::held::Held;
use crate::render::{self, Look};

/// Whether the output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// When standard output is a terminal and `NO_COLOR` is not set; never for another writer.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Writes traces as readable trees, for development.
///
/// Writing blocks as long as the output does: a pipe that nobody reads holds up the thread of the SDK, never the
/// application.
pub struct ConsoleExporter {
    out: Box<dyn Write + Send>,
    /// What [`Color::Auto`] is.
    suits_color: bool,
    look: Look,
    hold: Duration,
    held: Held,
    /// The resource of the last line that named a service.
    named: Option<Resource>,
    destination: &'static str,
}

/// Where an exporter without a writer of the caller's writes.
pub(crate) const STDOUT: &str = "standard output";
/// Where any other writes.
pub(crate) const WRITER: &str = "a writer";

impl ConsoleExporter {
    /// Writes to standard output, as the environment of the process says.
    pub fn stdout() -> Self {
        Self::from_env(&Env::process())
    }

    /// Writes to standard output, without colours if `NO_COLOR` is set to anything, in lines of `COLUMNS` characters.
    pub fn from_env(env: &Env) -> Self {
        let out = io::stdout();
        let suits_color = out.is_terminal() && env.string("NO_COLOR").is_none();
        let exporter = Self::new(Box::new(out), STDOUT, suits_color);
        // A shell sets it, whether it is a sensible number or not: nothing to warn of.
        match env.string("COLUMNS").and_then(|columns| columns.parse().ok()) {
            Some(width) => exporter.with_width(width),
            None => exporter,
        }
    }

    /// Writes to `out`, without colours unless they are asked for.
    pub fn to_writer(out: impl Write + Send + 'static) -> Self {
        Self::new(Box::new(out), WRITER, false)
    }

    fn new(out: Box<dyn Write + Send>, destination: &'static str, suits_color: bool) -> Self {
        let look = Look { is_colored: suits_color, width: 100, shows_all: false };
        let hold = Duration::from_secs(5);
        ConsoleExporter { out, suits_color, look, hold, held: Held::default(), named: None, destination }
    }

    /// Chooses whether there are colours.
    pub fn with_color(mut self, color: Color) -> Self {
        self.look.is_colored = match color {
            Color::Auto => self.suits_color,
            Color::Always => true,
            Color::Never => false,
        };
        self
    }

    /// Sets the length of a line in characters, from 40 to 1000; by default 100.
    pub fn with_width(mut self, width: usize) -> Self {
        self.look.width = width.clamp(40, 1000);
        self
    }

    /// Shows every attribute as it is. By default those of `code.*`, `thread.*`, `network.*`, `server.*`, `client.*`,
    /// `user_agent.*`, `url.scheme` and stack traces are left out, as is what the name of an HTTP span says already, and
    /// `http.response.status_code` is a mere number.
    pub fn with_all_attributes(mut self) -> Self {
        self.look.shows_all = true;
        self
    }

    /// How long a trace may wait for parents that have not ended; by default 5 seconds. Zero prints what a batch has.
    ///
    /// The wait ends with the next batch or flush after this time.
    pub fn with_hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    fn write(&mut self, traces: Vec<Vec<SpanData>>) -> Result<(), ExportError> {
        for spans in traces {
            let text = render::trace(&spans, self.look);
            self.out.write_all(text.as_bytes()).map_err(unwritable)?;
        }
        self.out.flush().map_err(unwritable)
    }
}

impl Exporter<Traces> for ConsoleExporter {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        if !self.named.as_ref().is_some_and(|named| named.is_same(batch.resource) || named == batch.resource) {
            // What waits belongs to the service above the line.
            let waiting = self.held.take_all();
            self.write(waiting)?;
            let line = render::service(batch.resource, self.look);
            let gap = if self.named.is_some() { "\n" } else { "" };
            self.out.write_all(format!("{gap}{line}").as_bytes()).map_err(unwritable)?;
            self.named = Some(batch.resource.clone());
        }
        self.held.add(batch.items, self.hold);
        let ready = self.held.take_ready();
        self.write(ready)?;
        Ok(ExportReport::accepted())
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        let waiting = self.held.take_all();
        self.write(waiting)
    }

    fn destination(&self) -> String {
        self.destination.to_owned()
    }
}

impl fmt::Debug for ConsoleExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleExporter").field("look", &self.look).field("hold", &self.hold).finish_non_exhaustive()
    }
}

fn unwritable(error: io::Error) -> ExportError {
    ExportError::other("the console cannot be written to").with_source(error)
}
