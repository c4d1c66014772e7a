//! One page: metadata and samples of each family, written in one pass.

use std::collections::HashSet;
use std::io;

use opentelemetry::KeyValue;
use telemark_sdk::Resource;
use telemark_sdk::diag::{self, Level};
use telemark_sdk::metrics::{
    Exemplar, ExponentialHistogramPoint, HistogramPoint, MetricData, Number, NumberPoint, ScopeMetrics,
};

use super::buckets::{Bounds, exponential};
use super::exemplars::{ByBucket, ExemplarWriter, latest, write_span_alone};
use super::families::{Family, Type, families, target_names};
use super::labels::{Labels, escaped, opening_of, quoted};
use super::merge::merged;
use super::sample::SampleName;
use super::scope_labels::{Label, common_labels};
use crate::format::Format;
use crate::names::Kind;
use crate::renderer::Settings;
use crate::text::line::{Line, Sink};
use crate::text::numbers::{float, number, unsigned};

/// Writes the page of a collection. Whenever there is at least one chunk of it, it is passed on, which empties it; what is in
/// `out` at the end was not passed on.
pub(crate) fn write<'a>(
    settings: &'a Settings,
    format: Format,
    resource: &Resource,
    scopes: &[ScopeMetrics],
    out: &mut Vec<u8>,
    chunks: Chunks<'a>,
) -> io::Result<()> {
    let target_info = settings.target_info && !resource.is_empty();
    let labels = || Labels::new(settings.strategy, format.escaping());
    let mut page = Page {
        settings,
        format,
        common: scopes.iter().map(|scope| common_labels(settings, format, resource, &scope.scope)).collect(),
        exemplars: ExemplarWriter::new(labels()),
        series: Series::default(),
        chunks,
    };
    if target_info {
        page.write_target_info(out, resource);
    }
    for family in families(scopes, settings.strategy, format, target_info) {
        page.write_family(out, &family)?;
    }
    if format.is_open_metrics() {
        out.extend_from_slice(b"# EOF\n");
    }
    Ok(())
}

/// Where the parts of a page go.
pub(crate) struct Chunks<'a> {
    /// A part has at least so many bytes, and those of one series more at most.
    pub(crate) size: usize,
    pub(crate) pass_on: &'a mut dyn FnMut(&mut Vec<u8>) -> io::Result<()>,
}

struct Page<'a> {
    settings: &'a Settings,
    format: Format,
    /// For each scope.
    common: Vec<Vec<Label>>,
    exemplars: ExemplarWriter,
    series: Series,
    chunks: Chunks<'a>,
}

/// Buffers for one series.
#[derive(Default)]
struct Series {
    /// The labels of the scope.
    common: Vec<u8>,
    /// All labels, each with a comma after it.
    labels: Vec<u8>,
    /// The lines of buckets.
    line: Line,
    bounds: Bounds,
    by_bucket: ByBucket,
    /// The bounds and counts of an exponential histogram.
    exponential: (Vec<f64>, Vec<u64>),
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
        SampleName::new(&sample).write(out, "", &self.series.labels);
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

    fn write_family(&mut self, out: &mut Vec<u8>, family: &Family<'_>) -> io::Result<()> {
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

        let sample = SampleName::new(&family.sample);
        self.write_metadata(out, &family.name, family.kind.name(), &family.unit, family.help);
        for part in &family.parts {
            self.series.common.clear();
            for (label, text) in &self.common[part.scope] {
                opening_of(&mut self.series.common, label);
                escaped(&mut self.series.common, text);
                self.series.common.extend_from_slice(b"\",");
            }
            let (common, written) = (&self.common[part.scope], &self.series.common);
            let merged = keys.seen.as_ref().and_then(|_| {
                let (labels, collide) = (&mut keys.labels, keys.collide);
                merged(part.data, &mut |attributes| {
                    let mut out = Vec::new();
                    write_labels(&mut out, labels, collide, attributes, common, written);
                    out
                })
            });
            match merged.as_ref().unwrap_or(part.data) {
                MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
                    for point in points {
                        if self.begin(&mut keys, &point.attributes, part.scope, family) {
                            self.write_number(out, family, &sample, point);
                        }
                        self.pass_on(out)?;
                    }
                }
                MetricData::Histogram { points, .. } => {
                    for point in points {
                        if self.begin(&mut keys, &point.attributes, part.scope, family) {
                            self.write_histogram(out, &sample, point);
                        }
                        self.pass_on(out)?;
                    }
                }
                MetricData::ExponentialHistogram { points, .. } => {
                    for point in points {
                        if self.begin(&mut keys, &point.attributes, part.scope, family) {
                            self.write_exponential(out, &sample, point);
                        }
                        self.pass_on(out)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    #[inline]
    fn pass_on(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if out.len() < self.chunks.size { Ok(()) } else { (self.chunks.pass_on)(out) }
    }

    /// Writes the labels of a series into the buffer; false when there was one with the same labels.
    #[inline]
    fn begin(&mut self, keys: &mut Keys, attributes: &[KeyValue], scope: usize, family: &Family<'_>) -> bool {
        let labels = &mut self.series.labels;
        labels.clear();
        write_labels(labels, &mut keys.labels, keys.collide, attributes, &self.common[scope], &self.series.common);
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
    fn write_number(&mut self, out: &mut Vec<u8>, family: &Family<'_>, sample: &SampleName, point: &NumberPoint) {
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
        sample.write(out, "", &self.series.labels);
        out.push(b' ');
        number(out, point.value);
        let exemplar = if is_counter && is_open_metrics { latest(&point.exemplars) } else { None };
        if let Some(exemplar) = exemplar {
            self.exemplars.write(out, exemplar);
        }
        out.push(b'\n');
    }

    fn write_histogram(&mut self, out: &mut Vec<u8>, sample: &SampleName, point: &HistogramPoint) {
        // A histogram without buckets has its count all the same.
        let above = point.bucket_counts.get(point.bounds.len()).copied();
        let buckets = Buckets {
            bounds: &point.bounds,
            counts: point.bucket_counts.get(..point.bounds.len()).unwrap_or(&point.bucket_counts),
            above,
            count: point.count,
            sum: point.sum,
            exemplars: &point.exemplars,
        };
        self.write_buckets(out, sample, buckets);
    }

    fn write_exponential(&mut self, out: &mut Vec<u8>, sample: &SampleName, point: &ExponentialHistogramPoint) {
        let (mut bounds, mut counts) = std::mem::take(&mut self.series.exponential);
        exponential(point, &mut bounds, &mut counts);
        let (counts_below, above) = match counts.split_last() {
            Some((above, below)) => (below, Some(*above)),
            None => (&*counts, None),
        };
        let (count, sum, exemplars) = (point.count, point.sum, &*point.exemplars);
        self.write_buckets(
            out,
            sample,
            Buckets { bounds: &bounds, counts: counts_below, above, count, sum, exemplars },
        );
        self.series.exponential = (bounds, counts);
    }

    /// Writes all samples of a histogram.
    fn write_buckets(&mut self, out: &mut Vec<u8>, sample: &SampleName, buckets: Buckets<'_>) {
        let Series { labels, line, by_bucket, bounds, .. } = &mut self.series;
        let Some(bounds) = bounds.learn(buckets.bounds) else {
            diag::log(
                Level::Warn,
                "prometheus.bounds",
                format_args!("the buckets of {:?} are not in order: not shown", sample.name()),
            );
            return;
        };
        let is_open_metrics = self.format.is_open_metrics();
        let exemplars = if is_open_metrics { buckets.exemplars } else { &[] };
        by_bucket.fill(exemplars, buckets.bounds);
        sample.start_buckets(line, labels);
        let mut total = 0u64;
        for (bucket, &(text, length)) in bounds.iter().enumerate() {
            total = match buckets.above {
                _ if bucket < buckets.bounds.len() => {
                    total.saturating_add(buckets.counts.get(bucket).copied().unwrap_or(0))
                }
                Some(above) => total.saturating_add(above),
                None => buckets.count,
            };
            // One with more than a span is written after the line, which has no room for it.
            let mut other = None;
            line.write(out, |end| {
                end.put(text, length);
                unsigned(end, total);
                other = by_bucket.of(bucket, exemplars).filter(|exemplar| !write_span_alone(end, exemplar));
                if other.is_none() {
                    end.put(*b"\n", 1);
                }
            });
            if let Some(exemplar) = other {
                self.exemplars.write(out, exemplar);
                out.push(b'\n');
            }
        }
        // spec: OpenMetrics.md#histogram-1: the sum is a counter, so that it is not there when values may be negative, and
        // neither is the count then.
        let is_signed = buckets.bounds.first().is_some_and(|&bound| bound < 0.0);
        let sum = buckets.sum.filter(|sum| !is_open_metrics || *sum >= 0.0 && !is_signed);
        if let Some(sum) = sum {
            sample.write(out, "_sum", labels);
            out.push(b' ');
            float(out, sum);
            out.push(b'\n');
        }
        if sum.is_some() || !is_open_metrics {
            sample.write(out, "_count", labels);
            out.push(b' ');
            unsigned(out, total);
            out.push(b'\n');
        }
    }
}

/// A histogram of either kind.
struct Buckets<'a> {
    bounds: &'a [f64],
    /// One for each bound, or fewer: zeros then.
    counts: &'a [u64],
    /// What is above the last bound; `None` when only the count of all is known.
    above: Option<u64>,
    count: u64,
    sum: Option<f64>,
    exemplars: &'a [Exemplar],
}

/// Writes the labels of a series; those of its scope are there as they are written, too.
#[inline]
fn write_labels(
    out: &mut Vec<u8>,
    labels: &mut Labels,
    collide: bool,
    attributes: &[KeyValue],
    common: &[Label],
    written: &[u8],
) {
    if collide {
        labels.write_joined(out, attributes, common, |_| true);
    } else {
        out.extend_from_slice(written);
        labels.write(out, attributes);
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

/// spec: OpenMetrics.md#counter: neither negative nor not-a-number
fn is_counter_value(value: Number) -> bool {
    match value {
        Number::I64(value) => value >= 0,
        Number::U64(_) => true,
        Number::F64(value) => value >= 0.0,
    }
}
