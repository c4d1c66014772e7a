//! Writes the lines of a histogram: buckets with exemplars, sum, and count.

use telemark_sdk::diag::{self, Level};
use telemark_sdk::metrics::{Exemplar, ExponentialHistogramPoint, HistogramPoint};

use super::bounds::Bounds;
use super::exemplars::{ByBucket, ExemplarWriter};
use super::exponential::exponential;
use super::sample::SampleName;
use crate::text::numbers::{float, unsigned};

/// Writes histograms. Reuses its buffers from one series to the next.
pub(super) struct HistogramWriter {
    is_open_metrics: bool,
    /// The start of the line, shared by all buckets.
    line_start: Vec<u8>,
    bounds: Bounds,
    by_bucket: ByBucket,
    /// Bounds and counts converted from an exponential histogram.
    exponential: (Vec<f64>, Vec<u64>),
}

/// The buckets of either histogram type.
struct Buckets<'a> {
    bounds: &'a [f64],
    /// One count per bound. Missing counts are zero.
    counts: &'a [u64],
    /// The count above the last bound, or `None` if only the total count is given.
    above: Option<u64>,
    count: u64,
    sum: Option<f64>,
    exemplars: &'a [Exemplar],
}

impl HistogramWriter {
    pub(super) fn new(is_open_metrics: bool) -> Self {
        HistogramWriter {
            is_open_metrics,
            line_start: Vec::new(),
            bounds: Bounds::default(),
            by_bucket: ByBucket::default(),
            exponential: Default::default(),
        }
    }

    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        sample: &SampleName,
        labels: &[u8],
        exemplars: &mut ExemplarWriter,
        point: &HistogramPoint,
    ) {
        let buckets = Buckets {
            bounds: &point.bounds,
            counts: point.bucket_counts.get(..point.bounds.len()).unwrap_or(&point.bucket_counts),
            // This is missing for a histogram without buckets, which still has a total count.
            above: point.bucket_counts.get(point.bounds.len()).copied(),
            count: point.count,
            sum: point.sum,
            exemplars: &point.exemplars,
        };
        self.write_buckets(out, sample, labels, exemplars, buckets);
    }

    pub(super) fn write_exponential(
        &mut self,
        out: &mut Vec<u8>,
        sample: &SampleName,
        labels: &[u8],
        exemplars: &mut ExemplarWriter,
        point: &ExponentialHistogramPoint,
    ) {
        let (mut bounds, mut counts) = std::mem::take(&mut self.exponential);
        exponential(point, &mut bounds, &mut counts);
        let buckets = Buckets {
            bounds: &bounds,
            counts: counts.get(..bounds.len()).unwrap_or(&counts),
            above: counts.get(bounds.len()).copied(),
            count: point.count,
            sum: point.sum,
            exemplars: &point.exemplars,
        };
        self.write_buckets(out, sample, labels, exemplars, buckets);
        self.exponential = (bounds, counts);
    }

    fn write_buckets(
        &mut self,
        out: &mut Vec<u8>,
        sample: &SampleName,
        labels: &[u8],
        exemplar_writer: &mut ExemplarWriter,
        buckets: Buckets<'_>,
    ) {
        let Some(bounds) = self.bounds.texts(buckets.bounds) else {
            return diag::log(
                Level::Warn,
                "prometheus.bounds",
                format_args!("the histogram {:?} is not shown: its bounds are not in order", sample.name()),
            );
        };
        let exemplars = if self.is_open_metrics { buckets.exemplars } else { &[] };
        self.by_bucket.fill(exemplars, buckets.bounds);
        self.line_start.clear();
        sample.write_bucket_start(&mut self.line_start, labels);
        let mut total = 0u64;
        for (bucket, text) in bounds.iter().enumerate() {
            total = match buckets.above {
                _ if bucket < buckets.bounds.len() => {
                    total.saturating_add(buckets.counts.get(bucket).copied().unwrap_or(0))
                }
                Some(above) => total.saturating_add(above),
                None => buckets.count,
            };
            out.extend_from_slice(&self.line_start);
            out.extend_from_slice(text);
            unsigned(out, total);
            if let Some(exemplar) = self.by_bucket.get(bucket, exemplars) {
                exemplar_writer.write(out, exemplar);
            }
            out.push(b'\n');
        }
        // spec: OpenMetrics.md#histogram-1: the sum is a counter, so it must be absent if values may be
        // negative. In that case, the count must also be absent.
        let may_be_negative = buckets.bounds.first().is_some_and(|&bound| bound < 0.0);
        let sum = buckets.sum.filter(|sum| !self.is_open_metrics || *sum >= 0.0 && !may_be_negative);
        if let Some(sum) = sum {
            sample.write(out, "_sum", labels);
            out.push(b' ');
            float(out, sum);
            out.push(b'\n');
        }
        if sum.is_some() || !self.is_open_metrics {
            sample.write(out, "_count", labels);
            out.push(b' ');
            unsigned(out, total);
            out.push(b'\n');
        }
    }
}
