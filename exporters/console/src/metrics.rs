//! The metric exporter, which prints a table with one line per series.

use std::fmt;
use std::io::Write;

use telemark_sdk::config::Env;
use telemark_sdk::metrics::{Attributes, Exemplar, Metric, MetricData, Temporality};
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use crate::distribution::Distribution;
use crate::output::{Color, Output};
use crate::text::{Canvas, Tone, clean, columns, quantity, time_of_day};
use crate::values::text as value_text;

/// The maximum width of a name, a unit, or an attribute, in columns.
const MAX_TEXT: usize = 60;
/// The maximum width of the part before the values, in columns.
const MAX_LEFT: usize = 100;

/// Prints metrics as a table, for development.
///
/// Writing blocks for as long as the output does. A pipe that is not read blocks the SDK's thread, but never
/// the application.
///
/// ```
/// use telemark_console::ConsoleMetricExporter;
/// use telemark_sdk::signal::Metrics;
///
/// fn exporter() -> impl telemark_sdk::Exporter<Metrics> {
///     ConsoleMetricExporter::stdout()
/// }
/// # let _ = exporter();
/// ```
pub struct ConsoleMetricExporter {
    output: Output,
    is_colored: bool,
}

impl ConsoleMetricExporter {
    /// Creates an exporter that prints to standard output, configured by the process environment.
    pub fn stdout() -> Self {
        Self::from_env(&Env::process())
    }

    /// Creates an exporter that prints to standard output. Disables colours if `NO_COLOR` has any value.
    pub fn from_env(env: &Env) -> Self {
        Self::new(Output::for_stdout(env))
    }

    /// Creates an exporter that prints to `out`, without colours unless [`Self::with_color`] enables them.
    pub fn to_writer(out: impl Write + Send + 'static) -> Self {
        Self::new(Output::for_writer(out))
    }

    fn new(output: Output) -> Self {
        ConsoleMetricExporter { is_colored: output.is_colored(Color::Auto), output }
    }

    /// Chooses between coloured and plain output.
    pub fn with_color(mut self, color: Color) -> Self {
        self.is_colored = self.output.is_colored(color);
        self
    }
}

impl Exporter<Metrics> for ConsoleMetricExporter {
    fn export(&mut self, batch: Batch<'_, Metrics>, _: Deadline) -> Result<ExportReport, ExportError> {
        let metrics: Vec<_> = batch.iter().flat_map(|scope| &scope.metrics).collect();
        if !metrics.is_empty() {
            self.output.write(&table(&metrics, self.is_colored))?;
            self.output.flush()?;
        }
        Ok(ExportReport::accepted())
    }

    fn destination(&self) -> String {
        self.output.destination()
    }
}

impl fmt::Debug for ConsoleMetricExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleMetricExporter").field("is_colored", &self.is_colored).finish_non_exhaustive()
    }
}

/// The table row of a series.
struct Row {
    attributes: String,
    value: String,
    /// The trace of the greatest exemplar.
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

/// Returns the name and attributes if the metric has a single series, or only the attributes if it has several.
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
    let row = |attributes: &Attributes, value: String, exemplars: &[Exemplar], time| {
        let list: Vec<_> = attributes
            .iter()
            .map(|one| clean(&format!("{}={}", one.key, value_text(&one.value, MAX_TEXT)), MAX_TEXT))
            .collect();
        Row { attributes: clean(&list.join(" "), MAX_LEFT), value, trace: trace_behind(exemplars), time }
    };
    match &metric.data {
        MetricData::Sum { points, temporality, .. } => {
            let plus = if *temporality == Temporality::Delta { "+" } else { "" };
            let shown = |value| format!("{plus}{}", quantity(value, unit));
            points.iter().map(|p| row(&p.attributes, shown(p.value.as_f64()), &p.exemplars, p.time)).collect()
        }
        MetricData::Gauge { points } => {
            points.iter().map(|p| row(&p.attributes, quantity(p.value.as_f64(), unit), &p.exemplars, p.time)).collect()
        }
        MetricData::Histogram { points, .. } => {
            points.iter().map(|p| row(&p.attributes, Distribution::new(p).text(unit), &p.exemplars, p.time)).collect()
        }
        MetricData::ExponentialHistogram { points, .. } => points
            .iter()
            .map(|p| row(&p.attributes, Distribution::for_exponential(p).text(unit), &p.exemplars, p.time))
            .collect(),
        // The enum is non-exhaustive. Unknown kinds of data are not shown.
        _ => Vec::new(),
    }
}

/// Returns the trace of the greatest exemplar, ignoring exemplars without a trace.
fn trace_behind(exemplars: &[Exemplar]) -> Option<String> {
    let in_traces = exemplars.iter().filter(|one| one.trace_id != opentelemetry::trace::TraceId::INVALID);
    let greatest = in_traces.max_by(|a, b| a.value.as_f64().total_cmp(&b.value.as_f64()))?;
    Some(greatest.trace_id.to_string())
}
