//! Splits a collection into batches with a maximum number of points.

use crate::metrics::data::{Metric, MetricData, ScopeMetrics};

/// Returns the points in their original order, in batches of at most `size` points. `size` must be at least 1.
/// A metric that does not fit into the rest of a batch continues in the next batch.
///
/// spec: metrics/sdk.md#periodic-exporting-metricreader, maxExportBatchSize
pub(crate) fn batches(scopes: Vec<ScopeMetrics>, size: usize) -> Vec<Vec<ScopeMetrics>> {
    if points(&scopes) <= size {
        return if scopes.is_empty() { Vec::new() } else { vec![scopes] };
    }
    let (mut batches, mut batch, mut room) = (Vec::new(), Vec::new(), size);
    for ScopeMetrics { scope, metrics } in scopes {
        let mut of_scope = Vec::new();
        for Metric { name, description, unit, data } in metrics {
            for part in parts(data, room, size) {
                room -= part.len();
                let (name, description, unit) = (name.clone(), description.clone(), unit.clone());
                of_scope.push(Metric { name, description, unit, data: part });
                if room == 0 {
                    room = size;
                    batch.push(ScopeMetrics::new(scope.clone(), std::mem::take(&mut of_scope)));
                    batches.push(std::mem::take(&mut batch));
                }
            }
        }
        if !of_scope.is_empty() {
            batch.push(ScopeMetrics::new(scope, of_scope));
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Returns the total number of points.
pub(crate) fn points(scopes: &[ScopeMetrics]) -> usize {
    scopes.iter().flat_map(|scope| &scope.metrics).map(|metric| metric.data.len()).sum()
}

/// Returns the number of points with delta temporality.
pub(crate) fn deltas(scopes: &[ScopeMetrics]) -> usize {
    let metrics = scopes.iter().flat_map(|scope| &scope.metrics);
    metrics.map(|metric| &metric.data).filter(|data| data.is_delta()).map(MetricData::len).sum()
}

/// Splits the data into a first part of `room` points and further parts of `size` points.
fn parts(data: MetricData, room: usize, size: usize) -> Vec<MetricData> {
    if data.len() <= room {
        return vec![data];
    }
    match data {
        MetricData::Sum { points, temporality, monotonic } => {
            cut(points, room, size, |points| MetricData::Sum { points, temporality, monotonic })
        }
        MetricData::Gauge { points } => cut(points, room, size, |points| MetricData::Gauge { points }),
        MetricData::Histogram { points, temporality } => {
            cut(points, room, size, |points| MetricData::Histogram { points, temporality })
        }
        MetricData::ExponentialHistogram { points, temporality } => {
            cut(points, room, size, |points| MetricData::ExponentialHistogram { points, temporality })
        }
    }
}

fn cut<P>(points: Vec<P>, room: usize, size: usize, data: impl Fn(Vec<P>) -> MetricData) -> Vec<MetricData> {
    let mut points = points.into_iter();
    let (mut parts, mut room) = (Vec::new(), room);
    while points.len() > 0 {
        parts.push(data(points.by_ref().take(room).collect()));
        room = size;
    }
    parts
}

#[cfg(all(test, not(loom)))]
mod tests {
    use opentelemetry::{InstrumentationScope, KeyValue};
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::data::{
        Attributes, Buckets, ExponentialHistogramPoint, HistogramPoint, NumberPoint, Temporality,
    };

    /// Returns a metric with `points` points, numbered from `first`. `kind` selects the kind of data.
    fn metric(kind: usize, first: usize, points: usize) -> Metric {
        let attributes = |number: usize| Attributes::new([KeyValue::new("n", number as i64)]);
        let all = first..first + points;
        let temporality = Temporality::Delta;
        let data = match kind % 4 {
            0 => MetricData::Sum {
                points: all.map(|number| NumberPoint::new(attributes(number), number as u64)).collect(),
                temporality,
                monotonic: true,
            },
            1 => MetricData::Gauge {
                points: all.map(|number| NumberPoint::new(attributes(number), number as f64)).collect(),
            },
            2 => MetricData::Histogram {
                points: all.map(|number| HistogramPoint::new(attributes(number), [1.0], vec![1, 2])).collect(),
                temporality,
            },
            _ => MetricData::ExponentialHistogram {
                points: all
                    .map(|number| {
                        let (positive, negative) = (Buckets::new(0, vec![1]), Buckets::default());
                        ExponentialHistogramPoint::new(attributes(number), 3, 0, positive, negative)
                    })
                    .collect(),
                temporality,
            },
        };
        Metric::new(format!("m{kind}"), data).with_unit("u").with_description("d")
    }

    fn scopes(counts: &[Vec<usize>]) -> Vec<ScopeMetrics> {
        let (mut first, mut kind) = (0, 0);
        let mut scope = |(number, counts): (usize, &Vec<usize>)| {
            let metrics = counts.iter().map(|count| {
                let metric = metric(kind, first, *count);
                (kind, first) = (kind + 1, first + count);
                metric
            });
            ScopeMetrics::new(InstrumentationScope::builder(format!("s{number}")).build(), metrics.collect())
        };
        counts.iter().enumerate().map(&mut scope).collect()
    }

    /// Returns one line per point, including everything that the point belongs to.
    fn lines(batches: &[Vec<ScopeMetrics>]) -> Vec<String> {
        let mut lines = Vec::new();
        for scope in batches.iter().flatten() {
            for metric in &scope.metrics {
                for part in parts(metric.data.clone(), 1, 1) {
                    let Metric { name, unit, description, .. } = metric;
                    lines.push(format!("{} {name} {unit} {description} {part:?}", scope.scope.name()));
                }
            }
        }
        lines
    }

    #[test]
    fn batches_are_full_and_metrics_go_on() {
        let shape = |batches: Vec<Vec<ScopeMetrics>>| -> String {
            let metric = |metric: &Metric| format!("{}:{}", metric.name, metric.data.len());
            let scope = |scope: &ScopeMetrics| {
                let metrics: Vec<_> = scope.metrics.iter().map(metric).collect();
                format!("{}({})", scope.scope.name(), metrics.join(" "))
            };
            let batch = |batch: &Vec<ScopeMetrics>| batch.iter().map(scope).collect::<String>();
            batches.iter().map(batch).collect::<Vec<_>>().join(" | ")
        };
        let check = |counts: &[Vec<usize>], size, expected| assert_eq!(shape(batches(scopes(counts), size)), expected);
        check(&[], 3, "");
        check(&[vec![2, 1]], 3, "s0(m0:2 m1:1)");
        check(&[vec![2, 5], vec![1, 1]], 3, "s0(m0:2 m1:1) | s0(m1:3) | s0(m1:1)s1(m2:1 m3:1)");
        check(&[vec![3], vec![3, 1]], 3, "s0(m0:3) | s1(m1:3) | s1(m2:1)");
        check(&[vec![2]], 1, "s0(m0:1) | s0(m0:1)");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_changed_or_moved(
            counts in prop::collection::vec(prop::collection::vec(1usize..9, 1..4), 0..4), size in 1usize..12
        ) {
            let batches = batches(scopes(&counts), size);
            prop_assert_eq!(lines(&batches), lines(&[scopes(&counts)]));
            let sizes: Vec<_> = batches.iter().map(|batch| points(batch)).collect();
            prop_assert!(sizes.iter().rev().skip(1).all(|full| *full == size), "{:?}", sizes);
            prop_assert!(sizes.last().is_none_or(|rest| (1..=size).contains(rest)));
        }
    }
}
