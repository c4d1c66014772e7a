//! Writes a page in one pass. Each family's metadata precedes its samples.

use std::collections::HashSet;
use std::io;

use opentelemetry::KeyValue;
use telemark_sdk::Resource;
use telemark_sdk::diag::{self, Level};
use telemark_sdk::metrics::{MetricData, Number, NumberPoint, ScopeMetrics};

use super::exemplars::{ExemplarWriter, latest};
use super::families::{Family, MetricType, families, target_names};
use super::histogram::HistogramWriter;
use super::labels::{Label, Labels};
use super::merge::{Point, merged};
use super::sample::SampleName;
use super::scope_labels::scope_labels;
use crate::config::PageConfig;
use crate::format::Format;
use crate::names::NameKind;
use crate::text::numbers::number;
use crate::text::quoting::{self, escaped, label_start};

/// Writes a collection as a page to `out`. Passes `out` on whenever it contains a full chunk. The caller must pass on
/// the rest.
pub(crate) fn write<'a>(
    config: &'a PageConfig,
    format: Format,
    resource: &Resource,
    scopes: &[ScopeMetrics],
    out: &mut Vec<u8>,
    chunks: Chunks<'a>,
) -> io::Result<()> {
    let target_info = config.target_info && !resource.is_empty();
    let mut page = PageWriter {
        config,
        format,
        scope_labels: scopes.iter().map(|scope| scope_labels(config, format, resource, &scope.scope)).collect(),
        exemplars: ExemplarWriter::new(Labels::new(config.strategy, format.escaping())),
        histograms: HistogramWriter::new(format.is_open_metrics()),
        labels: Vec::new(),
        scope_text: Vec::new(),
        chunks,
    };
    if target_info {
        page.write_target_info(out, resource);
    }
    for family in families(scopes, config.strategy, format, target_info) {
        page.write_family(out, &family)?;
    }
    if format.is_open_metrics() {
        out.extend_from_slice(b"# EOF\n");
    }
    Ok(())
}

/// The destination of a page that is written in parts.
pub(crate) struct Chunks<'a> {
    /// The minimum size of a part in bytes. A part exceeds it by at most one series.
    pub(crate) size: usize,
    /// Sends a part and empties the buffer.
    pub(crate) pass_on: &'a mut dyn FnMut(&mut Vec<u8>) -> io::Result<()>,
}

struct PageWriter<'a> {
    config: &'a PageConfig,
    format: Format,
    /// The labels of each scope.
    scope_labels: Vec<Vec<Label>>,
    exemplars: ExemplarWriter,
    histograms: HistogramWriter,
    /// A buffer for all labels of the current series, each followed by a comma.
    labels: Vec<u8>,
    /// A buffer for the rendered labels of the current scope.
    scope_text: Vec<u8>,
    chunks: Chunks<'a>,
}

impl PageWriter<'_> {
    /// spec: compatibility/prometheus_and_openmetrics.md#resource-attributes-1
    fn write_target_info(&mut self, out: &mut Vec<u8>, resource: &Resource) {
        let (name, sample) = target_names(self.format);
        let metric_type = if self.format.is_open_metrics() { "info" } else { MetricType::Gauge.name() };
        self.write_metadata(out, &name, metric_type, "", "Target metadata");
        let attributes: Vec<_> = resource.iter().cloned().collect();
        let mut labels = Labels::new(self.config.strategy, self.format.escaping());
        self.labels.clear();
        labels.write_joined(&mut self.labels, &attributes, &[], |_| true);
        SampleName::new(&sample).write(out, "", &self.labels);
        out.extend_from_slice(b" 1\n");
    }

    /// spec: OpenMetrics.md#overall-structure
    fn write_metadata(&self, out: &mut Vec<u8>, name: &str, metric_type: &str, unit: &str, help: &str) {
        let mut line = |keyword: &str, text: &dyn Fn(&mut Vec<u8>)| {
            out.extend_from_slice(b"# ");
            out.extend_from_slice(keyword.as_bytes());
            out.push(b' ');
            quoting::name(out, name, NameKind::Metric);
            out.push(b' ');
            text(out);
            out.push(b'\n');
        };
        line("TYPE", &|out| out.extend_from_slice(metric_type.as_bytes()));
        // The text format does not support units.
        if !unit.is_empty() && self.format.is_open_metrics() {
            line("UNIT", &|out| out.extend_from_slice(unit.as_bytes()));
        }
        if help.is_empty() {
            return;
        }
        line("HELP", &|out| {
            if self.format.is_open_metrics() {
                escaped(out, help);
            } else {
                // In the text format, quotes in help texts are not escaped.
                out.extend_from_slice(help.replace('\\', "\\\\").replace('\n', "\\n").as_bytes());
            }
        });
    }

    fn write_family(&mut self, out: &mut Vec<u8>, family: &Family<'_>) -> io::Result<()> {
        let mut series = self.series_of(family);
        let sample = SampleName::new(&family.sample);
        self.write_metadata(out, &family.name, family.metric_type.name(), &family.unit, family.help);
        for part in &family.parts {
            series.scope = part.scope;
            self.scope_text.clear();
            for (label, text) in &self.scope_labels[part.scope] {
                label_start(&mut self.scope_text, label);
                escaped(&mut self.scope_text, text);
                self.scope_text.extend_from_slice(b"\",");
            }
            let merged = series.seen.is_some().then(|| {
                merged(part.data, &mut |attributes| {
                    let mut out = Vec::new();
                    self.write_labels(&mut out, &mut series, attributes);
                    out
                })
            });
            match merged.flatten().as_ref().unwrap_or(part.data) {
                MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
                    self.write_points(out, &mut series, points, |page, out, point| {
                        page.write_number(out, family, &sample, point);
                    })?;
                }
                MetricData::Histogram { points, .. } => {
                    self.write_points(out, &mut series, points, |page, out, point| {
                        page.histograms.write(out, &sample, &page.labels, &mut page.exemplars, point);
                    })?;
                }
                MetricData::ExponentialHistogram { points, .. } => {
                    self.write_points(out, &mut series, points, |page, out, point| {
                        page.histograms.write_exponential(out, &sample, &page.labels, &mut page.exemplars, point);
                    })?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Learns the keys of all series of a family before any of them is written.
    fn series_of<'a>(&self, family: &'a Family<'_>) -> Series<'a> {
        let mut labels = Labels::new(self.config.strategy, self.format.escaping());
        if family.metric_type == MetricType::Histogram {
            labels = labels.reserving("le");
        }
        let mut collide = false;
        for part in &family.parts {
            attribute_sets(part.data).for_each(|attributes| labels.learn(attributes));
            collide |= self.scope_labels[part.scope].iter().any(|(label, _)| labels.has(label));
        }
        collide |= labels.collide();
        // Series may repeat if two metrics come from the same scope, or if different keys or values are
        // rendered as the same text.
        let mut scopes: Vec<_> = family.parts.iter().map(|part| &self.scope_labels[part.scope]).collect();
        scopes.sort_unstable();
        let may_repeat = collide || labels.are_ambiguous() || scopes.windows(2).any(|pair| pair[0] == pair[1]);
        Series { name: &family.name, labels, collide, seen: may_repeat.then(HashSet::new), scope: 0 }
    }

    #[inline]
    fn write_points<P: Point>(
        &mut self,
        out: &mut Vec<u8>,
        series: &mut Series<'_>,
        points: &[P],
        write: impl Fn(&mut Self, &mut Vec<u8>, &P),
    ) -> io::Result<()> {
        for point in points {
            if self.begin(series, point.attributes()) {
                write(self, out, point);
            }
            if out.len() >= self.chunks.size {
                (self.chunks.pass_on)(out)?;
            }
        }
        Ok(())
    }

    /// Writes the labels of a series to the buffer. Returns false if an earlier series has the same labels.
    #[inline]
    fn begin(&mut self, series: &mut Series<'_>, attributes: &[KeyValue]) -> bool {
        let mut labels = std::mem::take(&mut self.labels);
        labels.clear();
        self.write_labels(&mut labels, series, attributes);
        let is_new = series.seen.as_mut().is_none_or(|seen| seen.insert(labels.clone()));
        self.labels = labels;
        if !is_new {
            diag::log(
                Level::Warn,
                "prometheus.repeated",
                format_args!(
                    "the metric {:?} has several series with the same labels; the page shows the first",
                    series.name
                ),
            );
        }
        is_new
    }

    /// Writes the labels of a series, including those of its scope.
    #[inline]
    fn write_labels(&self, out: &mut Vec<u8>, series: &mut Series<'_>, attributes: &[KeyValue]) {
        if series.collide {
            series.labels.write_joined(out, attributes, &self.scope_labels[series.scope], |_| true);
        } else {
            out.extend_from_slice(&self.scope_text);
            series.labels.write(out, attributes);
        }
    }

    #[inline]
    fn write_number(&mut self, out: &mut Vec<u8>, family: &Family<'_>, sample: &SampleName, point: &NumberPoint) {
        let is_open_counter = family.metric_type == MetricType::Counter && self.format.is_open_metrics();
        if is_open_counter && !is_counter_value(point.value) {
            let (name, value) = (&family.name, point.value);
            return diag::log(
                Level::Warn,
                "prometheus.counter",
                format_args!("the counter {name:?} is not shown: OpenMetrics does not allow its value {value}"),
            );
        }
        sample.write(out, "", &self.labels);
        out.push(b' ');
        number(out, point.value);
        if let Some(exemplar) = is_open_counter.then(|| latest(&point.exemplars)).flatten() {
            self.exemplars.write(out, exemplar);
        }
        out.push(b'\n');
    }
}

/// The state for writing the series of a family.
struct Series<'a> {
    /// The name of the family.
    name: &'a str,
    labels: Labels,
    /// True if several keys have the same label.
    collide: bool,
    /// The labels written so far, or `None` if series cannot repeat.
    seen: Option<HashSet<Vec<u8>>>,
    /// The index of the current scope.
    scope: usize,
}

fn attribute_sets<'a>(data: &'a MetricData) -> Box<dyn Iterator<Item = &'a [KeyValue]> + 'a> {
    fn sets<P: Point>(points: &[P]) -> Box<dyn Iterator<Item = &[KeyValue]> + '_> {
        Box::new(points.iter().map(Point::attributes))
    }
    match data {
        MetricData::Gauge { points } | MetricData::Sum { points, .. } => sets(points),
        MetricData::Histogram { points, .. } => sets(points),
        MetricData::ExponentialHistogram { points, .. } => sets(points),
        _ => Box::new(std::iter::empty()),
    }
}

/// Returns true unless the value is negative or NaN.
///
/// spec: OpenMetrics.md#counter
fn is_counter_value(value: Number) -> bool {
    match value {
        Number::I64(value) => value >= 0,
        Number::U64(_) => true,
        Number::F64(value) => value >= 0.0,
    }
}
