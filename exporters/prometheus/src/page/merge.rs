//! Merges series of a metric that have equal labels, so that totals stay complete.

use std::collections::{HashMap, HashSet};

use opentelemetry::KeyValue;
use telemark_sdk::metrics::{
    Buckets, Exemplars, ExponentialHistogramPoint, HistogramPoint, MetricData, Number, NumberPoint,
};

/// Returns the metric with all points that have equal labels added up, or `None` if all labels differ. Gauges, and
/// histograms with different bounds, cannot be added and are left unchanged.
///
/// Different attributes may produce equal labels: an empty label equals an absent one, and `1` and `"1"` have
/// the same text.
///
/// spec: metrics/data-model.md#sums, which requires adding up points when the attribute that distinguishes them
/// is removed
pub(super) fn merged(data: &MetricData, labels: &mut dyn FnMut(&[KeyValue]) -> Vec<u8>) -> Option<MetricData> {
    match *data {
        MetricData::Sum { ref points, temporality, monotonic } => {
            merged_points(points, labels).map(|points| MetricData::Sum { points, temporality, monotonic })
        }
        MetricData::Histogram { ref points, temporality } => {
            merged_points(points, labels).map(|points| MetricData::Histogram { points, temporality })
        }
        MetricData::ExponentialHistogram { ref points, temporality } => {
            merged_points(points, labels).map(|points| MetricData::ExponentialHistogram { points, temporality })
        }
        _ => None,
    }
}

fn merged_points<P: Point>(points: &[P], labels: &mut dyn FnMut(&[KeyValue]) -> Vec<u8>) -> Option<Vec<P>> {
    let all: Vec<_> = points.iter().map(|point| labels(point.attributes())).collect();
    if all.iter().collect::<HashSet<_>>().len() == all.len() {
        return None;
    }
    let mut merged: Vec<P> = Vec::with_capacity(points.len());
    let mut index_of = HashMap::new();
    for (point, labels) in points.iter().zip(all) {
        let first = index_of.get(&labels).and_then(|&index: &usize| merged.get_mut(index));
        if first.is_some_and(|first| first.add(point)) {
            continue;
        }
        index_of.entry(labels).or_insert(merged.len());
        merged.push(point.clone());
    }
    Some(merged)
}

/// A point that can be added to another point of its metric.
pub(super) trait Point: Clone {
    fn attributes(&self) -> &[KeyValue];

    /// Adds another point. Returns false and changes nothing if the two cannot be added.
    fn add(&mut self, other: &Self) -> bool;
}

impl Point for NumberPoint {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    fn add(&mut self, other: &Self) -> bool {
        self.value = match (self.value, other.value) {
            (Number::I64(one), Number::I64(other)) => Number::I64(one.saturating_add(other)),
            (Number::U64(one), Number::U64(other)) => Number::U64(one.saturating_add(other)),
            (one, other) => Number::F64(one.as_f64() + other.as_f64()),
        };
        add_exemplars(&mut self.exemplars, &other.exemplars);
        true
    }
}

impl Point for HistogramPoint {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    fn add(&mut self, other: &Self) -> bool {
        if self.bounds != other.bounds || self.bucket_counts.len() != other.bucket_counts.len() {
            return false;
        }
        for (count, other) in self.bucket_counts.iter_mut().zip(&other.bucket_counts) {
            *count = count.saturating_add(*other);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.zip(other.sum).map(|(one, other)| one + other);
        add_exemplars(&mut self.exemplars, &other.exemplars);
        true
    }
}

impl Point for ExponentialHistogramPoint {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    /// Adds at the coarser of the two scales, whose bounds are a subset of those of the finer one.
    fn add(&mut self, other: &Self) -> bool {
        let scale = self.scale.min(other.scale);
        let both = |one: &Buckets, other_buckets: &Buckets| {
            total([(one, self.scale.saturating_sub(scale)), (other_buckets, other.scale.saturating_sub(scale))])
        };
        let (Some(positive), Some(negative)) =
            (both(&self.positive, &other.positive), both(&self.negative, &other.negative))
        else {
            return false;
        };
        (self.scale, self.positive, self.negative) = (scale, positive, negative);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        self.zero_threshold = self.zero_threshold.max(other.zero_threshold);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.zip(other.sum).map(|(one, other)| one + other);
        add_exemplars(&mut self.exemplars, &other.exemplars);
        true
    }
}

/// Adds up buckets after lowering each one's scale by the given amount. Returns `None` if they are farther
/// apart than any aggregation would produce.
fn total(parts: [(&Buckets, i32); 2]) -> Option<Buckets> {
    const MAX_BUCKETS: i64 = 1 << 16;
    let counts = parts.iter().flat_map(|(buckets, by)| {
        let offset = i64::from(buckets.offset);
        (0..).zip(&buckets.counts).map(move |(at, &count): (i64, _)| ((offset + at) >> (*by).clamp(0, 63), count))
    });
    let counts: Vec<_> = counts.filter(|&(_, count)| count > 0).collect();
    let (Some(first), Some(last)) = (counts.iter().map(|c| c.0).min(), counts.iter().map(|c| c.0).max()) else {
        return Some(Buckets::default());
    };
    let length = usize::try_from(last - first + 1).ok().filter(|_| last - first < MAX_BUCKETS)?;
    let mut total = Buckets::default();
    total.offset = i32::try_from(first).ok()?;
    total.counts = vec![0; length];
    for (index, count) in counts {
        let slot = usize::try_from(index - first).ok().and_then(|at| total.counts.get_mut(at))?;
        *slot = slot.saturating_add(count);
    }
    Some(total)
}

fn add_exemplars(to: &mut Exemplars, from: &Exemplars) {
    from.iter().for_each(|exemplar| to.push(exemplar.clone()));
}
