//! Metrics as a table: a line for each series.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use telemark_sdk::config::Env;
use telemark_sdk::metrics::{Attributes, Exemplar, Metric, MetricData, Temporality};
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use crate::distribution::Distribution;
use crate::exporter::{Color, STDOUT, WRITER};
use crate::text::{Canvas, Tone, clean, columns, quantity, time_of_day};
use crate::values::text as value_text;

/// Columns of a name, a unit, or a value of an attribute.
const MAX_TEXT: usize = 60;
/// Columns of what stands before the values.
const MAX_LEFT: usize = 100;

/// Writes metrics as a table, for development.
///
/// Writing blocks as long as the output does: a pipe that nobody reads holds up the thread of the SDK, never the
/// application.
///
/// ```
/// use telemark_console::ConsoleMetrics;
/// use telemark_sdk::signal::Metrics;
///
/// fn exporter() -> impl telemark_sdk::Exporter<Metrics> {
///     ConsoleMetrics::stdout()
/// }
/// # let _ = exporter();
/// ```
pub struct ConsoleMetrics {
    out: Box<dyn Write + Send>,
    /// What [`Color::Auto`] is.
    suits_color: bool,
    is_colored: bool,
    destination: &'static str,
}

impl ConsoleMetrics {
    /// Writes to standard output, as the environment of the process says.
    pub fn stdout() -> Self {
        Self::from_env(&Env::process())
    }

    /// Writes to standard output, without colours if `NO_COLOR` is set to anything.
    pub fn from_env(env: &Env) -> Self {
        let out = io::stdout();
        let suits_color = out.is_terminal() && env.string("NO_COLOR").is_none();
        ConsoleMetrics { out: Box::new(out), suits_color, is_colored: suits_color, destination: STDOUT }
    }

    /// Writes to `out`, without colours unless they are asked for.
    pub fn to_writer(out: impl Write + Send + 'static) -> Self {
        ConsoleMetrics { out: Box::new(out), suits_color: false, is_colored: false, destination: WRITER }
    }

    /// Chooses whether there are colours.
    pub fn with_color(mut self, color: Color) -> Self {
        self.is_colored = match color {
            Color::Auto => self.suits_color,
            Color::Always => true,
            Color::Never => false,
        };
        self
    }
}

impl Exporter<Metrics> for ConsoleMetrics {
    fn export(&mut self, batch: Batch<'_, Metrics>, _: Deadline) -> Result<ExportReport, ExportError> {
        let metrics: Vec<_> = batch.items.iter().flat_map(|scope| &scope.metrics).collect();
        if !metrics.is_empty() {
            let text = table(&metrics, self.is_colored);
            self.out
                .write_all(text.as_bytes())
                .and_then(|()| self.out.flush())
                .map_err(|error| ExportError::other("the console cannot be written to").with_source(error))?;
        }
        Ok(ExportReport::accepted())
    }

    fn destination(&self) -> String {
        self.destination.to_owned()
    }
}

impl fmt::Debug for ConsoleMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleMetrics").field("is_colored", &self.is_colored).finish_non_exhaustive()
    }
}

/// A series, and what is said of it.
struct Row {
    attributes: String,
    value: String,
    /// The trace behind the greatest exemplar.
    trace: Option<String>,
    time: Timestamp,
}

fn table(metrics: &[&Metric], is_colored: bool) -> String {
    let mut groups: Vec<_> = metrics.iter().map(|metric| (*metric, rows(metric))).collect();
    groups.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    groups.iter_mut().for_each(|(_, rows)| rows.sort_by(|a, b| a.attributes.cmp(&b.attributes)));
    let time = groups.iter().flat_map(|(_, rows)| rows).map(|row| row.time).max().unwrap_or_default();
    let width = groups.iter().flat_map(|(metric, rows)| rows.iter().map(|row| columns(&left(metric, rows, row)))).max();
    let width = width.unwrap_or_default().min(MAX_LEFT);

    let mut canvas = Canvas::new(is_colored);
    canvas.end_line();
    canvas.put(Tone::Faint, "metrics  ");
    canvas.put(Tone::Faint, &time_of_day(time));
    canvas.end_line();
    for (metric, rows) in &groups {
        if rows.len() > 1 {
            canvas.put(Tone::Strong, &clean(&metric.name, MAX_TEXT));
            canvas.end_line();
        }
        for row in rows {
            let tone = if rows.len() > 1 { Tone::Plain } else { Tone::Strong };
            canvas.put(tone, &left(metric, rows, row));
            canvas.move_to(width);
            canvas.space(2);
            canvas.put(Tone::Accent, &row.value);
            if let Some(trace) = &row.trace {
                canvas.space(2);
                canvas.put(Tone::Faint, "trace ");
                canvas.put(Tone::Faint, trace);
            }
            canvas.end_line();
        }
    }
    canvas.as_str().to_owned()
}

/// The name and the attributes of the only series, or the attributes of one of several.
fn left(metric: &Metric, rows: &[Row], row: &Row) -> String {
    let (name, attributes) = (clean(&metric.name, MAX_TEXT), &row.attributes);
    match (rows.len(), attributes.is_empty()) {
        (1, true) => name,
        (1, false) => format!("{name} {attributes}"),
        (_, true) => "  (no attributes)".to_owned(),
        (_, false) => format!("  {attributes}"),
    }
}

fn rows(metric: &Metric) -> Vec<Row> {
    let unit = &*metric.unit;
    let row = |of: &Attributes, value: String, exemplars: &[Exemplar], time| {
        let list: Vec<_> = of
            .iter()
            .map(|one| clean(&format!("{}={}", one.key, value_text(&one.value, MAX_TEXT)), MAX_TEXT))
            .collect();
        Row { attributes: clean(&list.join(" "), MAX_LEFT), value, trace: trace_behind(exemplars), time }
    };
    match &metric.data {
        MetricData::Sum { points, temporality, .. } => {
            let plus = if *temporality == Temporality::Delta { "+" } else { "" };
            let of = |value| format!("{plus}{}", quantity(value, unit));
            points.iter().map(|p| row(&p.attributes, of(p.value.as_f64()), &p.exemplars, p.time)).collect()
        }
        MetricData::Gauge { points } => {
            let of = |value| quantity(value, unit);
            points.iter().map(|p| row(&p.attributes, of(p.value.as_f64()), &p.exemplars, p.time)).collect()
        }
        MetricData::Histogram { points, .. } => {
            points.iter().map(|p| row(&p.attributes, Distribution::of(p).text(unit), &p.exemplars, p.time)).collect()
        }
        MetricData::ExponentialHistogram { points, .. } => points
            .iter()
            .map(|p| row(&p.attributes, Distribution::of_exponential(p).text(unit), &p.exemplars, p.time))
            .collect(),
        // What comes later is not shown until somebody writes how.
        _ => Vec::new(),
    }
}

fn trace_behind(exemplars: &[Exemplar]) -> Option<String> {
    let in_traces = exemplars.iter().filter(|one| one.trace_id != opentelemetry::trace::TraceId::INVALID);
    let greatest = in_traces.max_by(|a, b| a.value.as_f64().total_cmp(&b.value.as_f64()))?;
    Some(greatest.trace_id.to_string())
}
