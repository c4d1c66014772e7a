//! The samples of series as rates, differences and lines.

use std::collections::BTreeMap;

use crate::model::{PointData, Temporality};
use crate::store::{Sample, Series};

/// The maximum number of values of a line that is the sum of others. Those of the latest times are kept.
const MAX_VALUES: usize = 5_000;
/// The longest interval of a first cumulative sample that counts. An older series began long before the viewer did.
const MAX_FIRST: u64 = 120_000_000_000;
const SECOND: f64 = 1e9;

/// A value at a time in nanoseconds.
pub(super) type Value = (u64, f64);

/// The measurements between two times, in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) data: PointData,
}

/// Returns a number, or the count of a histogram or summary.
fn number(data: &PointData) -> f64 {
    match data {
        PointData::Int(value) => *value as f64,
        PointData::Double(value) => *value,
        PointData::Histogram { count, .. }
        | PointData::Exponential { count, .. }
        | PointData::Summary { count, .. } => *count as f64,
    }
}

/// Returns the values of a gauge or of a sum that may fall, from the last samples. Delta sums are added up.
pub(super) fn values(series: &Series, last: usize) -> Vec<Value> {
    let is_delta = series.temporality == Temporality::Delta;
    let mut sum = 0.0;
    let samples = series.samples.iter().skip(series.samples.len().saturating_sub(last)).map(|sample| {
        sum = if is_delta { sum + number(&sample.data) } else { number(&sample.data) };
        (sample.time, sum)
    });
    samples.collect()
}

/// Returns the rates a second of a counter, or of a histogram's measurements, from the last samples.
pub(super) fn rates(series: &Series, last: usize) -> Vec<Value> {
    let samples = pairs(series, last).filter_map(|(before, sample)| {
        let from = before.map_or(sample.start, |before| before.time);
        let seconds = sample.time.checked_sub(from).filter(|length| *length > 0)? as f64 / SECOND;
        let grown = number(&sample.data) - before.map_or(0.0, |before| number(&before.data));
        Some((sample.time, grown.max(0.0) / seconds))
    });
    samples.collect()
}

/// Returns the differences between consecutive histograms.
pub(super) fn intervals(series: &Series) -> Vec<Interval> {
    let intervals = pairs(series, usize::MAX).filter_map(|(before, sample)| {
        let data = match before {
            None => sample.data.clone(),
            Some(before) => difference(&sample.data, &before.data)?,
        };
        Some(Interval { from: before.map_or(sample.start, |before| before.time), to: sample.time, data })
    });
    intervals.collect()
}

/// Returns each sample with the one to subtract from it. Delta samples, and those after a restart, stand for themselves.
fn pairs(series: &Series, last: usize) -> impl Iterator<Item = (Option<&Sample>, &Sample)> {
    let is_delta = series.temporality == Temporality::Delta;
    let mut before: Option<&Sample> = None;
    series.samples.iter().skip(series.samples.len().saturating_sub(last)).filter_map(move |sample| {
        let last = before.replace(sample);
        if is_delta {
            // Without a start, the interval began with the last sample.
            let is_complete = sample.start > 0 && sample.start < sample.time;
            return is_complete.then_some((None, &**sample));
        }
        match last {
            Some(last) if sample.start == last.start => {
                // A sum that falls without a new start is not one that can be read.
                let continues = sample.time > last.time && number(&sample.data) >= number(&last.data);
                continues.then_some((Some(last), &**sample))
            }
            _ => {
                let is_recent = sample.start > 0 && sample.time.saturating_sub(sample.start) <= MAX_FIRST;
                is_recent.then_some((None, &**sample))
            }
        }
    })
}

/// Subtracts a cumulative histogram from a later one. Returns `None` if their buckets differ.
fn difference(after: &PointData, before: &PointData) -> Option<PointData> {
    let minus = |after: &[u64], before: &[u64]| -> Box<[u64]> {
        after.iter().enumerate().map(|(at, count)| count.saturating_sub(before.get(at).copied().unwrap_or(0))).collect()
    };
    match (after, before) {
        (
            PointData::Histogram { count, sum, bounds, counts, .. },
            PointData::Histogram { count: old_count, sum: old_sum, bounds: old_bounds, counts: old_counts, .. },
        ) if bounds == old_bounds => Some(PointData::Histogram {
            count: count.saturating_sub(*old_count),
            sum: sum - old_sum,
            min: None,
            max: None,
            bounds: bounds.clone(),
            counts: minus(counts, old_counts),
        }),
        (
            PointData::Exponential { count, sum, scale, zero, zero_threshold, positive, negative, .. },
            PointData::Exponential {
                count: old_count,
                sum: old_sum,
                scale: old_scale,
                zero: old_zero,
                positive: old_positive,
                negative: old_negative,
                ..
            },
        ) if scale <= old_scale => {
            let coarser = u32::try_from(old_scale.saturating_sub(*scale)).ok()?.min(63);
            let minus = |after: &(i32, Box<[u64]>), before: &(i32, Box<[u64]>)| {
                let mut counts = after.1.clone();
                for (index, count) in (i64::from(before.0)..).zip(&before.1) {
                    let place = usize::try_from((index >> coarser) - i64::from(after.0)).ok();
                    if let Some(place) = place.and_then(|place| counts.get_mut(place)) {
                        *place = place.saturating_sub(*count);
                    }
                }
                (after.0, counts)
            };
            Some(PointData::Exponential {
                count: count.saturating_sub(*old_count),
                sum: sum - old_sum,
                min: None,
                max: None,
                scale: *scale,
                zero: zero.saturating_sub(*old_zero),
                zero_threshold: *zero_threshold,
                positive: minus(positive, old_positive),
                negative: minus(negative, old_negative),
            })
        }
        _ => None,
    }
}

/// Returns the usual time between the values of a line, in nanoseconds; at least a second.
pub(super) fn usual_gap(lines: &[Vec<Value>]) -> u64 {
    let longest = lines.iter().max_by_key(|line| line.len());
    let times = longest.into_iter().flat_map(|line| line.windows(2));
    let mut gaps: Vec<u64> = times
        .filter_map(|pair| match pair {
            [(first, _), (second, _)] => second.checked_sub(*first),
            _ => None,
        })
        .collect();
    super::super::traces::percentile(&mut gaps, 50).unwrap_or(0).max(1_000_000_000)
}

/// Adds up lines. Values within the same `gap` count as simultaneous, since each program reports at its own times.
pub(super) fn sum(lines: &[Vec<Value>], gap: u64) -> Vec<Value> {
    let mut slots: BTreeMap<u64, Value> = BTreeMap::new();
    for line in lines {
        let mut own: BTreeMap<u64, Value> = BTreeMap::new();
        for &(time, value) in line {
            own.insert(time / gap.max(1), (time, value));
        }
        for (slot, (time, value)) in own {
            let total = slots.entry(slot).or_insert((0, 0.0));
            *total = (total.0.max(time), total.1 + value);
            if slots.len() > MAX_VALUES {
                slots.pop_first();
            }
        }
    }
    slots.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Resource, Scope};

    const S: u64 = 1_000_000_000;

    fn series(temporality: Temporality, samples: &[(u64, u64, i64)]) -> Series {
        let resource = Resource { service: "shop".into(), attributes: Box::default() };
        let scope = Scope { name: "".into(), version: "".into(), attributes: Box::default() };
        let mut series = Series::for_tests(Arc::new(resource), Arc::new(scope), temporality);
        for &(start, time, value) in samples {
            let sample =
                Sample { start: start * S, time: time * S, data: PointData::Int(value), exemplars: Box::default() };
            series.samples.push_back(Arc::new(sample));
        }
        series
    }

    #[test]
    fn cumulative_sums_become_rates_across_restarts() {
        let samples = [
            (100, 110, 50),
            (100, 120, 80),
            (125, 130, 10),
            (125, 140, 10),
            (125, 150, 4),
            (125, 160, 8),
            (165, 170, 100),
        ];
        let rates = rates(&series(Temporality::Cumulative, &samples), 9);
        assert_eq!(
            rates,
            [(110 * S, 5.0), (120 * S, 3.0), (130 * S, 2.0), (140 * S, 0.0), (160 * S, 0.4), (170 * S, 20.0)]
        );
    }

    #[test]
    fn a_sum_that_began_long_ago_has_no_first_rate() {
        let series = series(Temporality::Cumulative, &[(100, 1_000, 50), (100, 1_010, 60)]);
        assert_eq!(rates(&series, 9), [(1_010 * S, 1.0)]);
    }

    #[test]
    fn delta_sums_stand_for_themselves() {
        let series = series(Temporality::Delta, &[(100, 110, 50), (110, 120, 20)]);
        assert_eq!(rates(&series, 9), [(110 * S, 5.0), (120 * S, 2.0)]);
        assert_eq!(rates(&series, 1), [(120 * S, 2.0)]);
        assert_eq!(values(&series, 9), [(110 * S, 50.0), (120 * S, 70.0)]);
    }

    #[test]
    fn exponential_histograms_are_subtracted_after_a_change_of_scale() {
        let data = |scale, offset, counts: &[u64]| PointData::Exponential {
            count: counts.iter().sum(),
            sum: 0.0,
            min: None,
            max: None,
            scale,
            zero: 0,
            zero_threshold: 0.0,
            positive: (offset, counts.into()),
            negative: (0, Box::default()),
        };
        // The buckets -2 to 1 at scale 1 are -1 and 0 at scale 0.
        let found = difference(&data(0, -1, &[5, 9]), &data(1, -2, &[1, 1, 2, 3]));
        assert_eq!(found, Some(data(0, -1, &[3, 4])));
        assert_eq!(difference(&data(2, 0, &[1]), &data(1, 0, &[1])), None);
    }

    #[test]
    fn lines_are_added_up_by_slot() {
        let lines = [vec![(10 * S, 1.0), (20 * S, 2.0)], vec![(11 * S, 10.0), (31 * S, 20.0)]];
        assert_eq!(sum(&lines, 10 * S), [(11 * S, 11.0), (20 * S, 2.0), (31 * S, 20.0)]);
        let long: Vec<Vec<Value>> =
            (0..3).map(|line| (0..4_000).map(|at| ((line * 4_000 + at) * S, 1.0)).collect()).collect();
        let times: Vec<u64> = sum(&long, S).into_iter().map(|(time, _)| time).collect();
        assert_eq!(times, (7_000..12_000).map(|at| at * S).collect::<Vec<_>>());
        assert_eq!(usual_gap(&lines[..1]), 10 * S);
        assert_eq!(usual_gap(&[]), S);
    }
}
