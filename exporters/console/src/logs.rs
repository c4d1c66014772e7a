//! The log exporter, which prints records inside the trees of their traces, or as lines of their own.

use std::fmt::{self, Write as _};
use std::io::Write;

use opentelemetry::logs::{AnyValue, Severity};
use telemark_sdk::config::Env;
use telemark_sdk::logs::SdkLogRecord;
use telemark_sdk::signal::Logs;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use crate::output::{Color, Output};
use crate::text::{Canvas, Tone, clean, time_of_day};
use crate::traces::{Kind, Piece, Shared, shared_stdout};
use crate::values::float;

/// The maximum width of a name or a key, in columns.
const MAX_NAME: usize = 60;
/// The maximum width of a value, in columns.
const MAX_VALUE: usize = 160;
/// The maximum width of a body, in columns.
const MAX_BODY: usize = 1000;

/// Prints log records, for development. A record of a span is printed inside the tree of its trace if a
/// [`ConsoleTraceExporter`](crate::ConsoleTraceExporter) has the same output, such as standard output. If the trace does not come
/// within 10 seconds, is not sampled or has been printed, and in all other cases, the record is a line of its own.
///
/// Writing blocks for as long as the output does. A pipe that is not read blocks the SDK's thread, but never
/// the application.
///
/// ```
/// use telemark_console::ConsoleLogExporter;
/// use telemark_sdk::signal::Logs;
///
/// fn exporter() -> impl telemark_sdk::Exporter<Logs> {
///     ConsoleLogExporter::stdout()
/// }
/// # let _ = exporter();
/// ```
pub struct ConsoleLogExporter {
    trees: Shared,
    is_colored: bool,
}

impl ConsoleLogExporter {
    /// Creates an exporter that prints to standard output, configured by the process environment.
    pub fn stdout() -> Self {
        Self::from_env(&Env::process())
    }

    /// Creates an exporter that prints to standard output. Disables colours if `NO_COLOR` has any value.
    pub fn from_env(env: &Env) -> Self {
        Self::new(shared_stdout(env))
    }

    /// Creates an exporter that prints to `out`, without colours unless [`Self::with_color`] enables them.
    pub fn to_writer(out: impl Write + Send + 'static) -> Self {
        Self::new(Shared::new(Output::for_writer(out)))
    }

    pub(crate) fn new(trees: Shared) -> Self {
        trees.join(Kind::Logs);
        let is_colored = trees.lock().output.is_colored(Color::Auto);
        ConsoleLogExporter { trees, is_colored }
    }

    /// Chooses between coloured and plain output for records on lines of their own.
    pub fn with_color(mut self, color: Color) -> Self {
        self.is_colored = self.trees.lock().output.is_colored(color);
        self
    }
}

impl Exporter<Logs> for ConsoleLogExporter {
    fn export(&mut self, batch: Batch<'_, Logs>, _: Deadline) -> Result<ExportReport, ExportError> {
        self.trees.add_records(batch.iter(), self.is_colored)?;
        Ok(ExportReport::accepted())
    }

    /// Prints all waiting records and traces.
    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.trees.lock().print_all()
    }

    fn destination(&self) -> String {
        self.trees.lock().output.destination()
    }
}

impl Drop for ConsoleLogExporter {
    fn drop(&mut self) {
        self.trees.leave(Kind::Logs);
    }
}

impl fmt::Debug for ConsoleLogExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleLogExporter").field("is_colored", &self.is_colored).finish_non_exhaustive()
    }
}

/// Writes a record as a line of its own.
pub(crate) fn write_record(canvas: &mut Canvas, record: &SdkLogRecord) {
    if let Some(time) = time(record) {
        put(canvas, Tone::Faint, &time_of_day(time));
    }
    let mut pieces = pieces(record).into_iter();
    if let Some((tone, severity)) = pieces.next() {
        // Aligns what follows.
        put(canvas, tone, &format!("{severity:<5}"));
    }
    pieces.for_each(|(tone, piece)| put(canvas, tone, &piece));
    if let Some(context) = record.trace_context() {
        put(canvas, Tone::Faint, &format!("trace {} span {}", context.trace_id, context.span_id));
    }
    canvas.end_line();
}

/// Returns the time of a record.
pub(crate) fn time(record: &SdkLogRecord) -> Option<Timestamp> {
    record.timestamp().or(record.observed_timestamp())
}

/// Returns the pieces for a record, without its time and its span.
pub(crate) fn pieces(record: &SdkLogRecord) -> Vec<Piece> {
    let severity = record.severity_text().or(record.severity_number().map(|severity| severity.name()));
    let mut pieces = vec![
        (tone(record.severity_number()), clean(severity.unwrap_or("-"), MAX_NAME)),
        (Tone::Faint, clean(record.target().unwrap_or(record.scope().name()), MAX_NAME)),
    ];
    pieces.extend(record.event_name().map(|event| (Tone::Accent, clean(event, MAX_NAME))));
    pieces.extend(record.body().map(|body| match body {
        AnyValue::String(body) => (Tone::Strong, clean(body.as_str(), MAX_BODY)),
        body => (Tone::Strong, clean(&text(body), MAX_BODY)),
    }));
    let shown = record.attributes().iter().filter(|(key, value)| !is_repeated(record, key.as_str(), value));
    pieces.extend(shown.map(|(key, value)| {
        let tone = if key.as_str().starts_with("exception.") { Tone::Bad } else { Tone::Plain };
        (tone, format!("{}={}", clean(key.as_str(), MAX_NAME), clean(&text(value), MAX_VALUE)))
    }));
    if record.dropped_attributes() > 0 {
        pieces.push((Tone::Warn, format!("({} attributes dropped)", record.dropped_attributes())));
    }
    pieces
}

/// Returns true if the value only repeats the error of the record: a bridge may record it as the body, as `exception.message` with the
/// messages of the causes, and as the field `error`.
fn is_repeated(record: &SdkLogRecord, key: &str, value: &AnyValue) -> bool {
    let AnyValue::String(value) = value else { return false };
    let (value, exception) = (value.as_str(), record.attribute("exception.message"));
    let says = |whole: Option<&AnyValue>| match whole {
        Some(AnyValue::String(whole)) => {
            whole.as_str().strip_prefix(value).is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
        }
        _ => false,
    };
    match key {
        "error" => says(exception),
        "exception.message" => says(record.body()),
        _ => false,
    }
}

/// Appends a part of a line, two columns after the previous one.
fn put(canvas: &mut Canvas, tone: Tone, text: &str) {
    if canvas.column() > 0 && !text.is_empty() {
        canvas.space(2);
    }
    canvas.put(tone, text);
}

fn tone(severity: Option<Severity>) -> Tone {
    match severity {
        Some(severity) if severity >= Severity::Error => Tone::Bad,
        Some(severity) if severity >= Severity::Warn => Tone::Warn,
        Some(severity) if severity >= Severity::Info => Tone::Good,
        _ => Tone::Faint,
    }
}

/// Formats a value. Quotes strings whose end would otherwise be ambiguous.
fn text(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) if !text.as_str().is_empty() && !text.as_str().contains([' ', '"', '=', ',']) => {
            text.as_str().to_owned()
        }
        value => {
            let mut out = String::new();
            write_json(&mut out, value);
            out
        }
    }
}

/// Writes a value in the form of JSON, with bytes in hexadecimal. The SDK's limits bound the nesting depth. Stops once the
/// text is certain to be truncated.
fn write_json(out: &mut String, value: &AnyValue) {
    // Writing to a string cannot fail.
    let _ = match value {
        _ if out.len() > MAX_BODY * 4 => Ok(()),
        AnyValue::Int(number) => write!(out, "{number}"),
        AnyValue::Double(number) => write!(out, "{}", float(*number)),
        AnyValue::Boolean(boolean) => write!(out, "{boolean}"),
        AnyValue::String(text) => {
            let cut: String = text.as_str().chars().take(MAX_BODY).collect();
            write!(out, "\"{}\"", cut.replace('"', "\\\""))
        }
        AnyValue::Bytes(bytes) => bytes.iter().take(MAX_BODY).try_for_each(|byte| write!(out, "{byte:02x}")),
        AnyValue::ListAny(list) => {
            out.push('[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(out, value);
            }
            write!(out, "]")
        }
        AnyValue::Map(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                let _ = write!(out, "{comma}{key}:");
                write_json(out, value);
            }
            write!(out, "}}")
        }
        other => write!(out, "{other:?}"),
    };
}
