//! Summarizes a histogram in one line: count, mean, estimated percentiles, and maximum.

use telemark_sdk::metrics::{ExponentialHistogramPoint, HistogramPoint};

use crate::text::quantity;

/// The distribution described by a histogram point.
pub(crate) struct Distribution {
    count: u64,
    sum: Option<f64>,
    max: Option<f64>,
    /// The buckets in order, each with lower bound, upper bound and count.
    buckets: Vec<(f64, f64, u64)>,
}

impl Distribution {
    pub(crate) fn new(point: &HistogramPoint) -> Self {
        let bound = |index: usize| point.bounds.get(index).copied();
        let (min, max) = (point.min.unwrap_or(f64::NEG_INFINITY), point.max.unwrap_or(f64::INFINITY));
        let buckets = point.bucket_counts.iter().enumerate().map(|(index, count)| {
            let lower = index.checked_sub(1).and_then(bound).unwrap_or(min);
            (lower.max(min), bound(index).unwrap_or(max).min(max), *count)
        });
        Distribution { count: point.count, sum: point.sum, max: point.max, buckets: buckets.collect() }
    }

    pub(crate) fn for_exponential(point: &ExponentialHistogramPoint) -> Self {
        let (min, max) = (point.min.unwrap_or(f64::NEG_INFINITY), point.max.unwrap_or(f64::INFINITY));
        let bound = |index: i64| (index as f64 * (-f64::from(point.scale)).exp2()).exp2();
        let within = |(lower, upper, count): (f64, f64, u64)| (lower.max(min), upper.min(max), count);
        let positive = (i64::from(point.positive.offset)..).zip(&point.positive.counts);
        let negative = (i64::from(point.negative.offset)..).zip(&point.negative.counts);
        let mut buckets: Vec<_> = negative.map(|(index, n)| within((-bound(index + 1), -bound(index), *n))).collect();
        buckets.reverse();
        buckets.push((0.0, 0.0, point.zero_count));
        buckets.extend(positive.map(|(index, n)| within((bound(index), bound(index + 1), *n))));
        Distribution { count: point.count, sum: point.sum, max: point.max, buckets }
    }

    /// Formats as `12×  avg 3.00ms  p50 ~2.50ms  p95 ~5.00ms  max 7.00ms`. Omits unknown values.
    pub(crate) fn text(&self, unit: &str) -> String {
        let mut text = format!("{}×", self.count);
        let mut add = |name: &str, value: Option<f64>| {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                text.push_str(&format!("  {name}{}", quantity(value, unit)));
            }
        };
        add("avg ", self.sum.filter(|_| self.count > 0).map(|sum| sum / self.count as f64));
        if self.count > 1 {
            add("p50 ~", self.quantile(0.5));
            add("p95 ~", self.quantile(0.95));
            add("max ", self.max);
        }
        text
    }

    /// Estimates the quantile at this fraction, assuming that values are spread evenly within each bucket.
    fn quantile(&self, share: f64) -> Option<f64> {
        let rank = share * self.count as f64;
        let mut before = 0.0;
        for &(lower, upper, count) in self.buckets.iter().filter(|(_, _, count)| *count > 0) {
            let count = count as f64;
            if before + count >= rank {
                let lower = if lower.is_finite() { lower } else { upper };
                let upper = if upper.is_finite() { upper } else { lower };
                return Some(lower + (upper - lower) * ((rank - before) / count));
            }
            before += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use telemark_sdk::metrics::Attributes;

    fn check(counts: &[u64], expected: &str) {
        let point = HistogramPoint::new(Attributes::empty(), [1.0, 2.0, 4.0], counts.to_vec());
        assert_eq!(Distribution::new(&point).text("By"), expected);
    }

    #[test]
    fn shares_lie_within_their_bucket() {
        check(&[0, 10, 0, 0], "10×  p50 ~1.50 By  p95 ~1.95 By");
        check(&[0, 1, 0, 0], "1×");
        check(&[5, 0, 5, 0], "10×  p50 ~1 By  p95 ~3.80 By");
        check(&[0, 0, 0, 4], "4×  p50 ~4 By  p95 ~4 By");
        check(&[0, 0, 0, 0], "0×");
    }

    #[test]
    fn without_buckets_there_is_the_mean() {
        let point = HistogramPoint::new(Attributes::empty(), [], vec![4]).with_sum(6.0).with_extremes(1.0, 2.0);
        assert_eq!(Distribution::new(&point).text("s"), "4×  avg 1.50s  p50 ~1.50s  p95 ~1.95s  max 2.00s");
    }

    proptest! {
        #[test]
        fn shares_grow_and_stay_within_the_extremes(counts in prop::collection::vec(0u64..9, 4)) {
            let point = HistogramPoint::new(Attributes::empty(), [1.0, 2.0, 4.0], counts).with_extremes(0.5, 7.0);
            let distribution = Distribution::new(&point);
            let shares: Vec<_> = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| distribution.quantile(share)).to_vec();
            if point.count > 0 {
                prop_assert!(shares.is_sorted_by(|a, b| a <= b), "{shares:?}");
                prop_assert!(shares.iter().flatten().all(|value| (0.5..=7.0).contains(value)), "{shares:?}");
            }
        }
    }
}
