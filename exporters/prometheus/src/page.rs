//! One page: metadata and samples of each family, written in one pass.

use std::collections::HashSet;

use opentelemetry::KeyValue;
use telemark_sdk::Resource;
use telemark_sdk::diag::{self, Level};
use telemark_sdk::metrics::{
    Exemplar, ExponentialHistogramPoint, HistogramPoint, MetricData, Number, NumberPoint, ScopeMetrics,
};

use crate::buckets::{Bounds, exponential};
use crate::common::{Label, common_labels};
use crate::exemplars::{ByBucket, ExemplarWriter, latest};
use crate::families::{Family, Type, families, target_names};
use crate::format::Format;
use crate::labels::{Labels, escaped, opening_of, quoted};
use crate::names::Kind;
use crate::numbers::{canonical, float, number, unsigned};
use crate::renderer::Settings;

/// Writes the page of a collection.
pub(crate) fn write(
    settings: &Settings,
    format: Format,
    resource: &Resource,
    scopes: &[ScopeMetrics],
    out: &mut Vec<u8>,
) {
    let target_info = settings.target_info && !resource.is_empty();
    let labels = || Labels::new(settings.strategy, format.escaping());
    let mut page = Page {
        settings,
        format,
        common: scopes.iter().map(|scope| common_labels(settings, format, resource, &scope.scope)).collect(),
        exemplars: ExemplarWriter::new(labels()),
        series: Series::default(),
        bounds: Bounds::default(),
        by_bucket: ByBucket::default(),
    };
    if target_info {
        page.write_target_info(out, resource);
    }
    for family in families(scopes, settings.strategy, format, target_info) {
        page.write_family(out, &family);
    }
    if format.is_open_metrics() {
        out.extend_from_slice(b"# EOF\n");
    }
}

struct Page<'a> {
    settings: &'a Settings,
    format: Format,
    /// For each scope.
    common: Vec<Vec<Label>>,
    exemplars: ExemplarWriter,
    series: Series,
    bounds: Bounds,
    by_bucket: ByBucket,
}

/// Buffers for one series.
#[derive(Default)]
struct Series {
    /// The labels of the scope.
    common: Vec<u8>,
    /// All labels, each with a comma after it.
    labels: Vec<u8>,
    /// A sample's name and labels.
    head: Vec<u8>,
    /// Of exponential histograms.
    exponential_bounds: Vec<f64>,
    exponential_counts: Vec<u64>,
}

impl Page<'_> {
    /// spec: compatibility/prometheus_and_openmetrics.md#resource-attributes-1
    fn write_target_info(&mut self, out: &mut Vec<u8>, resource: &Resource) {
        let (name, sample) = target_names(self.format);
        let kind = if self.format.is_open_metrics() { "info" } else { Type::Gauge.name() };
        self.write_metadata(out, &name, kind, "", "Target metadata");
        let attributes: Vec<_> = resource.iter().cloned().collect();
        let mut labels = Labels::new(self.settings.strategy, self.format.escaping());
        self.series.labels.clear();
        labels.write_joined(&mut self.series.labels, &attributes, &[], |_| true);
        write_head(out, &sample, "", &self.series.labels);
        out.extend_from_slice(b" 1\n");
    }

    /// spec: OpenMetrics.md#overall-structure
    fn write_metadata(&self, out: &mut Vec<u8>, name: &str, kind: &str, unit: &str, help: &str) {
        let mut line = |keyword: &str, text: &dyn Fn(&mut Vec<u8>)| {
            out.extend_from_slice(b"# ");
            out.extend_from_slice(keyword.as_bytes());
            out.push(b' ');
            if Kind::Metric.is_classic(name) {
                out.extend_from_slice(name.as_bytes());
            } else {
                quoted(out, name);
            }
            out.push(b' ');
            text(out);
            out.push(b'\n');
        };
        line("TYPE", &|out| out.extend_from_slice(kind.as_bytes()));
        // The text format has no such metadata.
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
                // The text format has no escape for quotes here.
                out.extend_from_slice(help.replace('\\', "\\\\").replace('\n', "\\n").as_bytes());
            }
        });
    }

    fn write_family(&mut self, out: &mut Vec<u8>, family: &Family<'_>) {
        let mut labels = Labels::new(self.settings.strategy, self.format.escaping());
        if family.kind == Type::Histogram {
            labels = labels.reserving("le");
        }
        let mut collide = false;
        for part in &family.parts {
            attribute_sets(part.data).for_each(|attributes| labels.learn(attributes));
            collide |= self.common[part.scope].iter().any(|(label, _)| labels.has(label));
        }
        collide |= labels.collide();
        // Two metrics of one scope may have the same series, and so may one whose keys or values have become the same.
        let mut scopes: Vec<_> = family.parts.iter().map(|part| &self.common[part.scope]).collect();
        scopes.sort_unstable();
        let may_repeat = collide || labels.are_ambiguous() || scopes.windows(2).any(|pair| pair[0] == pair[1]);
        let mut keys = Keys { labels, collide, seen: may_repeat.then(HashSet::new) };

        self.write_metadata(out, &family.name, family.kind.name(), &family.unit, family.help);
        for part in &family.parts {
            self.series.common.clear();
            for (label, text) in &self.common[part.scope] {
                opening_of(&mut self.series.common, label);
                escaped(&mut self.series.common, text);
                self.series.common.extend_from_slice(b"\",");
            }
            match part.data {
                MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
                    for point in points {
                        if self.begin(&mut keys, &point.attributes, part.scope, family) {
                            self.write_number(out, family, point);
                        }
                    }
                }
                MetricData::Histogram { points, .. } => {
                    for point in points {
                        if self.begin(&mut keys, &point.attributes, part.scope, family) {
                            self.write_histogram(out, family, point);
                        }
                    }
                }
                MetricData::ExponentialHistogram { points, .. } => {
                    for point in points {
                        if self.begin(&mut keys, &point.attributes, part.scope, family) {
                            self.write_exponential(out, family, point);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Writes the labels of a series into the buffer; false when there was one with the same labels.
    #[inline]
    fn begin(&mut self, keys: &mut Keys, attributes: &[KeyValue], scope: usize, family: &Family<'_>) -> bool {
        let labels = &mut self.series.labels;
        labels.clear();
        if keys.collide {
            keys.labels.write_joined(labels, attributes, &self.common[scope], |_| true);
        } else {
            labels.extend_from_slice(&self.series.common);
            keys.labels.write(labels, attributes);
        }
        let is_new = keys.seen.as_mut().is_none_or(|seen| seen.insert(labels.clone()));
        if !is_new {
            diag::log(
                Level::Warn,
                "prometheus.repeated",
                format_args!("{:?} has several series with the same labels, of which the first is shown", family.name),
            );
        }
        is_new
    }

    #[inline]
    fn write_number(&mut self, out: &mut Vec<u8>, family: &Family<'_>, point: &NumberPoint) {
        let is_counter = family.kind == Type::Counter;
        let is_open_metrics = self.format.is_open_metrics();
        if is_counter && is_open_metrics && !is_counter_value(point.value) {
            diag::log(
                Level::Warn,
                "prometheus.counter",
                format_args!(
                    "the counter {:?} is {}, which OpenMetrics cannot say: not shown",
                    family.name, point.value
                ),
            );
            return;
        }
        write_head(out, &family.sample, "", &self.series.labels);
        out.push(b' ');
        number(out, point.value);
        if is_counter
            && is_open_metrics
            && let Some(exemplar) = latest(&point.exemplars)
        {
            self.exemplars.write(out, exemplar);
        }
        out.push(b'\n');
    }

    fn write_histogram(&mut self, out: &mut Vec<u8>, family: &Family<'_>, point: &HistogramPoint) {
        if !self.bounds.learn(&point.bounds) {
            diag::log(
                Level::Warn,
                "prometheus.bounds",
                format_args!("the buckets of {:?} are not in order: not shown", family.name),
            );
            return;
        }
        let series = &mut self.series;
        begin_buckets(&mut series.head, &family.sample, &series.labels);
        let exemplars: &[Exemplar] = if self.format.is_open_metrics() { &point.exemplars } else { &[] };
        self.by_bucket.fill(exemplars, &point.bounds);
        let mut total = 0u64;
        for bucket in 0..point.bounds.len() {
            total = total.saturating_add(point.bucket_counts.get(bucket).copied().unwrap_or(0));
            out.extend_from_slice(&series.head);
            out.extend_from_slice(self.bounds.text(bucket));
            unsigned(out, total);
            if let Some(exemplar) = self.by_bucket.of(bucket, exemplars) {
                self.exemplars.write(out, exemplar);
            }
            out.push(b'\n');
        }
        // A histogram without buckets has its count all the same.
        let above = point.bucket_counts.get(point.bounds.len()).copied();
        total = above.map_or(point.count, |above| total.saturating_add(above));
        let last = self.by_bucket.of(point.bounds.len(), exemplars);
        let is_signed = point.bounds.first().is_some_and(|&bound| bound < 0.0);
        self.end_buckets(out, family, total, point.sum, last, is_signed);
    }

    fn write_exponential(&mut self, out: &mut Vec<u8>, family: &Family<'_>, point: &ExponentialHistogramPoint) {
        let series = &mut self.series;
        let (bounds, counts) = (&mut series.exponential_bounds, &mut series.exponential_counts);
        exponential(point, bounds, counts);
        begin_buckets(&mut series.head, &family.sample, &series.labels);
        let exemplars: &[Exemplar] = if self.format.is_open_metrics() { &point.exemplars } else { &[] };
        self.by_bucket.fill(exemplars, bounds);
        let mut total = 0u64;
        for (bucket, (&bound, &count)) in bounds.iter().zip(&*counts).enumerate() {
            total = total.saturating_add(count);
            out.extend_from_slice(&series.head);
            canonical(out, bound);
            out.extend_from_slice(b"\"} ");
            unsigned(out, total);
            if let Some(exemplar) = self.by_bucket.of(bucket, exemplars) {
                self.exemplars.write(out, exemplar);
            }
            out.push(b'\n');
        }
        total = total.saturating_add(counts.last().copied().unwrap_or(0));
        let last = self.by_bucket.of(bounds.len(), exemplars);
        let is_signed = bounds.first().is_some_and(|&bound| bound < 0.0);
        self.end_buckets(out, family, total, point.sum, last, is_signed);
    }

    /// Writes the last bucket, the sum and the count.
    fn end_buckets(
        &mut self,
        out: &mut Vec<u8>,
        family: &Family<'_>,
        total: u64,
        sum: Option<f64>,
        exemplar: Option<&Exemplar>,
        is_signed: bool,
    ) {
        out.extend_from_slice(&self.series.head);
        out.extend_from_slice(b"+Inf\"} ");
        unsigned(out, total);
        if let Some(exemplar) = exemplar {
            self.exemplars.write(out, exemplar);
        }
        out.push(b'\n');
        // spec: OpenMetrics.md#histogram-1: the sum is a counter, so that it is not there when values may be negative, and
        // neither is the count then.
        let is_counter = |sum: &f64| *sum >= 0.0 && !is_signed;
        let is_open_metrics = self.format.is_open_metrics();
        let sum = sum.filter(|sum| !is_open_metrics || is_counter(sum));
        if let Some(sum) = sum {
            write_head(out, &family.sample, "_sum", &self.series.labels);
            out.push(b' ');
            float(out, sum);
            out.push(b'\n');
        }
        if sum.is_some() || !is_open_metrics {
            write_head(out, &family.sample, "_count", &self.series.labels);
            out.push(b' ');
            unsigned(out, total);
            out.push(b'\n');
        }
    }
}

/// What is known of the labels of a family.
struct Keys {
    labels: Labels,
    /// Several keys have one label.
    collide: bool,
    /// The series so far, if one may come twice.
    seen: Option<HashSet<Vec<u8>>>,
}

fn attribute_sets<'a>(data: &'a MetricData) -> Box<dyn Iterator<Item = &'a [KeyValue]> + 'a> {
    match data {
        MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
            Box::new(points.iter().map(|point| &*point.attributes))
        }
        MetricData::Histogram { points, .. } => Box::new(points.iter().map(|point| &*point.attributes)),
        MetricData::ExponentialHistogram { points, .. } => Box::new(points.iter().map(|point| &*point.attributes)),
        _ => Box::new(std::iter::empty()),
    }
}

/// Writes a sample's name and labels.
#[inline]
fn write_head(out: &mut Vec<u8>, name: &str, suffix: &str, labels: &[u8]) {
    let is_quoted = write_name(out, name, suffix);
    if let Some((_, labels)) = labels.split_last() {
        out.push(if is_quoted { b',' } else { b'{' });
        out.extend_from_slice(labels);
        out.push(b'}');
    } else if is_quoted {
        out.push(b'}');
    }
}

/// Writes what the lines of all buckets of a series start with.
fn begin_buckets(head: &mut Vec<u8>, name: &str, labels: &[u8]) {
    head.clear();
    let is_quoted = write_name(head, name, "_bucket");
    head.push(if is_quoted { b',' } else { b'{' });
    head.extend_from_slice(labels);
    head.extend_from_slice(b"le=\"");
}

/// Writes a name; one that must be quoted stands among the labels, whose brace is then open.
#[inline]
fn write_name(out: &mut Vec<u8>, name: &str, suffix: &str) -> bool {
    let is_quoted = !Kind::Metric.is_classic(name);
    if is_quoted {
        out.extend_from_slice(b"{\"");
        escaped(out, name);
        out.extend_from_slice(suffix.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
    }
    is_quoted
}

/// spec: OpenMetrics.md#counter: neither negative nor not-a-number
fn is_counter_value(value: Number) -> bool {
    match value {
        Number::I64(value) => value >= 0,
        Number::U64(_) => true,
        Number::F64(value) => value >= 0.0,
    }
}
