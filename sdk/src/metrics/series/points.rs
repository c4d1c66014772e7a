//! Turns the series of a stream into points.

use super::one::Series;
use super::store::Harvest;
use crate::metrics::aggregation::{Cell, ExponentialTotal, HistogramTotal, SumCell};
use crate::metrics::config::{ExponentialConfig, HistogramConfig, Shape, StreamConfig};
use crate::metrics::data::{ExponentialHistogramPoint, HistogramPoint, MetricData, NumberPoint, limited};
use crate::metrics::exemplar::{MergedSlots, Random};
use crate::time::Timestamp;

/// Returns one point for each series that has measurements.
pub(crate) fn data(config: &StreamConfig, harvest: Harvest, now: Timestamp) -> MetricData {
    let Harvest { series, since } = harvest;
    let temporality = config.temporality;
    // spec: metrics/sdk.md#start-timestamps — a delta starts where the previous one ended, a total at its first
    // measurement.
    let start = |series: &Series| if config.is_delta() { since } else { series.start };
    let at = |series: &Series| (start(series), now.max(start(series)));
    match &config.shape {
        Shape::Sum => MetricData::Sum {
            points: series.iter().filter_map(|series| sum(config, series, at(series))).collect(),
            temporality,
            monotonic: config.kind.is_monotonic(),
        },
        Shape::LastValue => MetricData::Gauge {
            points: series.iter().filter_map(|series| last_value(config, series, at(series))).collect(),
        },
        Shape::Histogram(shape) => MetricData::Histogram {
            points: series.iter().filter_map(|series| histogram(config, shape, series, at(series))).collect(),
            temporality,
        },
        Shape::Exponential(shape) => MetricData::ExponentialHistogram {
            points: series.iter().filter_map(|series| exponential(config, shape, series, at(series))).collect(),
            temporality,
        },
    }
}

fn sum(config: &StreamConfig, series: &Series, (start, time): (Timestamp, Timestamp)) -> Option<NumberPoint> {
    let cells = || series.cells(Cell::sum);
    let first = cells().next()?;
    let (is_delta, number) = (config.is_delta(), config.number);
    let zero = number.subtract(0, 0);
    // Do not short-circuit, because every cell must reset its `touched` flag.
    let mut touched = cells().fold(false, |any, cell| cell.take_touched() | any);
    let add_up = |take: &dyn Fn(&SumCell) -> u64| cells().fold(zero, |sum, cell| number.add(sum, take(cell)));
    let value = if config.resets_sums {
        within_limits(config, add_up(&SumCell::take_shared))
    } else {
        let total = within_limits(config, add_up(&|cell| cell.total(number)));
        if is_delta { number.subtract(total, first.report(total)) } else { total }
    };
    // A concurrent addition may have changed the sum without having set its flag yet.
    touched |= !number.is_zero(value);
    let has_point = if is_delta { touched } else { first.ever_touched(touched) };
    has_point.then(|| {
        let exemplars = series.exemplars(is_delta, 1, |merged| {
            cells().for_each(|cell| cell.take_exemplars(merged, is_delta));
        });
        NumberPoint { exemplars, ..NumberPoint::new(series.attributes.clone(), number.number(value)).at(start, time) }
    })
}

/// Clamps a sum to the finite range and logs a warning if it has reached the limit of its type.
fn within_limits(config: &StreamConfig, sum: u64) -> u64 {
    let (sum, is_at_limit) = config.number.limited(sum);
    if is_at_limit {
        report_limit(config);
    }
    sum
}

fn finite(config: &StreamConfig, sum: Option<f64>) -> Option<f64> {
    sum.map(|sum| {
        let (sum, is_at_limit) = limited(sum);
        if is_at_limit {
            report_limit(config);
        }
        sum
    })
}

#[cold]
fn report_limit(config: &StreamConfig) {
    crate::__warn!(
        "metrics.limit",
        "a sum of {:?} has reached the largest number of its type and stays there",
        config.name
    );
}

fn last_value(config: &StreamConfig, series: &Series, (start, time): (Timestamp, Timestamp)) -> Option<NumberPoint> {
    let cell = series.cells(Cell::last_value).next()?;
    let is_delta = config.is_delta();
    let value = config.number.number(cell.take(is_delta)?);
    let exemplars = series.exemplars(is_delta, 1, |merged| cell.take_exemplars(merged, is_delta));
    Some(NumberPoint { exemplars, ..NumberPoint::new(series.attributes.clone(), value).at(start, time) })
}

fn histogram(
    config: &StreamConfig,
    shape: &HistogramConfig,
    series: &Series,
    (start, time): (Timestamp, Timestamp),
) -> Option<HistogramPoint> {
    let mut total = HistogramTotal::new(shape);
    series.cells(Cell::histogram).for_each(|cell| cell.take_into(&mut total, config.is_delta()));
    let counts = std::mem::take(&mut total.counts);
    let mut point = HistogramPoint::new(series.attributes.clone(), shape.bounds.clone(), counts).at(start, time);
    if point.count == 0 {
        return None;
    }
    point.sum = finite(config, shape.record_sum.then_some(total.sum));
    if shape.record_min_max {
        (point.min, point.max) = (Some(total.min), Some(total.max));
    }
    point.exemplars = series.custom_exemplars(config.is_delta()).unwrap_or_else(|| total.exemplars(&mut Random::new()));
    Some(point)
}

fn exponential(
    config: &StreamConfig,
    shape: &ExponentialConfig,
    series: &Series,
    (start, time): (Timestamp, Timestamp),
) -> Option<ExponentialHistogramPoint> {
    let (mut total, is_delta) = (ExponentialTotal::new(shape), config.is_delta());
    let mut merged = MergedSlots::new(shape.exemplars());
    // The measurements are taken even if a reservoir of the series has the exemplars.
    series.cells(Cell::exponential).for_each(|cell| cell.take_into(shape, &mut total, &mut merged, is_delta));
    let exemplars = series.custom_exemplars(is_delta).unwrap_or_else(|| merged.finish(&mut Random::new()).into());
    let mut point = (!total.is_empty()).then(|| total.into_point(shape, series.attributes.clone()))?;
    point.sum = finite(config, point.sum);
    Some(ExponentialHistogramPoint { exemplars, ..point.at(start, time) })
}
