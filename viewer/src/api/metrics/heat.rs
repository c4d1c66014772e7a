//! Histograms over time as a heat map, with quantiles.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::json::micros;
use super::points::Interval;
use crate::model::PointData;

/// The maximum number of buckets of an exponential histogram that are shown.
const MAX_BUCKETS: i64 = 60;
/// The maximum number of bounds of an explicit histogram that is shown.
const MAX_BOUNDS: usize = 500;
/// The maximum number of columns. Those of the latest times are kept.
const MAX_COLUMNS: usize = 1_000;
/// The maximum number of different lists of bounds that are counted.
const MAX_LAYOUTS: usize = 16;

/// The measurements of a period, in buckets that all periods share.
#[derive(Debug, PartialEq)]
struct Column {
    time: u64,
    /// One more than there are bounds.
    counts: Vec<u64>,
}

/// Returns `heat` and `quantiles`, or `None` if there are no histograms.
pub(super) fn heat(intervals: &[Interval], gap: u64) -> Option<(Json, Json)> {
    let bounds = bounds(intervals)?;
    let mut columns: BTreeMap<u64, Column> = BTreeMap::new();
    for interval in intervals {
        let Some(counts) = counts(&interval.data, &bounds) else { continue };
        let empty = || Column { time: 0, counts: vec![0; bounds.len() + 1] };
        let column = columns.entry(interval.to / gap.max(1)).or_insert_with(empty);
        column.time = column.time.max(interval.to);
        column.counts.iter_mut().zip(counts).for_each(|(total, count)| *total = total.saturating_add(count));
        if columns.len() > MAX_COLUMNS {
            columns.pop_first();
        }
    }
    let columns: Vec<Column> = columns.into_values().collect();
    let line = |share: f64| columns.iter().map(|column| quantile(column, &bounds, share)).collect::<Vec<_>>();
    let quantiles = json!({ "p50": line(0.5), "p95": line(0.95), "p99": line(0.99) });
    let times: Vec<u64> = columns.iter().map(|column| micros(column.time)).collect();
    let counts: Vec<&[u64]> = columns.iter().map(|column| &*column.counts).collect();
    Some((json!({ "times": times, "bounds": bounds, "counts": counts }), quantiles))
}

/// Returns the bounds that most explicit histograms have, or those of powers that fit all exponential ones.
fn bounds(intervals: &[Interval]) -> Option<Vec<f64>> {
    let mut explicit: Vec<(&[f64], usize)> = Vec::new();
    for interval in intervals {
        if let PointData::Histogram { bounds, .. } = &interval.data {
            if bounds.len() > MAX_BOUNDS {
                continue;
            }
            let known = explicit.iter().position(|(known, _)| *known == &**bounds);
            match known {
                Some(at) => explicit.iter_mut().skip(at).take(1).for_each(|(_, count)| *count += 1),
                None if explicit.len() < MAX_LAYOUTS => explicit.push((bounds, 1)),
                None => {}
            }
        }
    }
    if let Some((bounds, _)) = explicit.into_iter().max_by_key(|(_, count)| *count) {
        return Some(bounds.to_vec());
    }
    exponential_bounds(intervals)
}

fn exponential_bounds(intervals: &[Interval]) -> Option<Vec<f64>> {
    let exponential = || {
        intervals.iter().filter_map(|interval| match &interval.data {
            PointData::Exponential { scale, positive, .. } => {
                let first = positive.1.iter().position(|count| *count > 0)?;
                let last = positive.1.iter().rposition(|count| *count > 0)?;
                let index = |at: usize| i64::from(positive.0) + i64::try_from(at).unwrap_or(0);
                Some((*scale, index(first), index(last)))
            }
            _ => None,
        })
    };
    let mut scale = exponential().map(|(scale, _, _)| scale).min()?.clamp(-10, 20);
    loop {
        let moved = |own: i32, index: i64| index >> u32::try_from(own.saturating_sub(scale)).unwrap_or(0).min(63);
        let first = exponential().map(|(own, first, _)| moved(own, first)).min()?;
        let last = exponential().map(|(own, _, last)| moved(own, last)).max()?;
        if last - first < MAX_BUCKETS || scale <= -10 {
            let base = 2f64.powf(2f64.powf(-f64::from(scale)));
            let bounds = (first..=last.min(first + MAX_BUCKETS)).map(|index| base.powf(index as f64));
            let mut bounds: Vec<f64> = bounds.filter(|bound| bound.is_finite()).collect();
            bounds.dedup();
            return Some(bounds);
        }
        scale -= 1;
    }
}

/// Returns the counts of a histogram in buckets with these bounds, or `None` if they do not fit.
fn counts(data: &PointData, bounds: &[f64]) -> Option<Vec<u64>> {
    match data {
        PointData::Histogram { bounds: own, counts, .. } => {
            (**own == *bounds && counts.len() == bounds.len() + 1).then(|| counts.to_vec())
        }
        PointData::Exponential { scale, zero, positive, negative, .. } => {
            let mut counts = vec![0u64; bounds.len() + 1];
            if let Some(first) = counts.first_mut() {
                // Everything up to zero is below the lowest bound.
                *first = negative.1.iter().fold(*zero, |sum, count| sum.saturating_add(*count));
            }
            let base = 2f64.powf(2f64.powf(-f64::from(*scale)));
            for (index, count) in (i64::from(positive.0)..).zip(&positive.1).filter(|(_, count)| **count > 0) {
                // The geometric middle of the bucket lies in no other one, despite rounding.
                let middle = base.powf(index as f64 + 0.5);
                let bucket = bounds.partition_point(|bound| *bound < middle);
                if let Some(place) = counts.get_mut(bucket) {
                    *place = place.saturating_add(*count);
                }
            }
            Some(counts)
        }
        PointData::Int(_) | PointData::Double(_) | PointData::Summary { .. } => None,
    }
}

/// Returns a quantile, interpolated within its bucket; the nearest bound for the buckets at both ends.
fn quantile(column: &Column, bounds: &[f64], share: f64) -> Option<f64> {
    let total: f64 = column.counts.iter().map(|count| *count as f64).sum();
    if total == 0.0 {
        return None;
    }
    let rank = share * total;
    let mut below = 0.0;
    for (bucket, count) in column.counts.iter().map(|count| *count as f64).enumerate() {
        if count > 0.0 && below + count >= rank {
            let high = bounds.get(bucket).or(bounds.last())?;
            let low = match bucket.checked_sub(1) {
                Some(before) => *bounds.get(before)?,
                None => high.min(0.0),
            };
            return Some(low + (high - low) * ((rank - below) / count).clamp(0.0, 1.0));
        }
        below += count;
    }
    bounds.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(to: u64, bounds: &[f64], counts: &[u64]) -> Interval {
        let count = counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
        let (bounds, counts) = (bounds.into(), counts.into());
        Interval { from: 0, to, data: PointData::Histogram { count, sum: 0.0, min: None, max: None, bounds, counts } }
    }

    fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Interval {
        let data = PointData::Exponential {
            count: counts.iter().sum::<u64>() + 1,
            sum: 0.0,
            min: None,
            max: None,
            scale,
            zero: 1,
            zero_threshold: 0.0,
            positive: (offset, counts.into()),
            negative: (0, Box::default()),
        };
        Interval { from: 0, to: 5_000, data }
    }

    #[test]
    fn simultaneous_histograms_are_added_up() {
        let intervals = [
            explicit(11_000, &[1.0, 2.0], &[1, 2, 0]),
            explicit(12_000, &[1.0, 2.0], &[1, 0, 4]),
            explicit(12_000, &[5.0], &[7, 7]),
            explicit(21_000, &[1.0, 2.0], &[0, 0, 0]),
        ];
        let (heat, quantiles) = heat(&intervals, 10_000).unwrap();
        assert_eq!(heat, json!({ "times": [12, 21], "bounds": [1.0, 2.0], "counts": [[2, 2, 4], [0, 0, 0]] }));
        assert_eq!(quantiles["p50"], json!([2.0, null]));
        assert_eq!(quantiles["p99"], json!([2.0, null]));
    }

    #[test]
    fn exponential_histograms_share_the_coarsest_buckets() {
        let intervals = [exponential(0, 0, &[1, 2]), exponential(1, 0, &[1, 1, 1, 1])];
        let (heat, _) = heat(&intervals, 1_000).unwrap();
        // Up to 1 (zero), 2, and 4.
        assert_eq!(heat["bounds"], json!([1.0, 2.0]));
        assert_eq!(heat["counts"], json!([[2, 3, 4]]));
    }

    #[test]
    fn the_columns_of_the_latest_times_are_shown() {
        let mut intervals: Vec<_> = (0..5_000).map(|at| explicit(at * 1_000, &[1.0], &[at, 0])).collect();
        intervals.reverse();
        let (heat, quantiles) = heat(&intervals, 1_000).unwrap();
        let times: Vec<u64> = heat["times"].as_array().unwrap().iter().filter_map(Json::as_u64).collect();
        assert_eq!(times, (4_000..5_000).collect::<Vec<_>>());
        assert_eq!((&heat["counts"][0], &heat["counts"][999]), (&json!([4_000, 0]), &json!([4_999, 0])));
        assert_eq!(quantiles["p50"].as_array().map(Vec::len), Some(MAX_COLUMNS));
    }

    #[test]
    fn wide_exponential_histograms_have_few_buckets() {
        let mut counts = vec![0; 10_000];
        (counts[0], counts[9_999]) = (1, 1);
        let (heat, _) = heat(&[exponential(8, -5_000, &counts)], 1_000).unwrap();
        let counts = heat["counts"][0].as_array().unwrap();
        assert!(counts.len() <= MAX_BUCKETS as usize + 2, "{}", counts.len());
        assert_eq!(counts.iter().filter_map(Json::as_u64).sum::<u64>(), 3);
    }

    #[test]
    fn hostile_histograms_are_harmless() {
        for interval in [
            exponential(i32::MAX, i32::MAX, &[1]),
            exponential(i32::MIN, i32::MIN, &[1]),
            exponential(0, i32::MAX, &[1, 1]),
            explicit(0, &[f64::NAN, f64::INFINITY], &[1, 1, 1]),
            explicit(0, &[1.0], &[u64::MAX, 1]),
            explicit(0, &[], &[1]),
        ] {
            let _ = heat(&[interval], 0);
        }
    }
}
