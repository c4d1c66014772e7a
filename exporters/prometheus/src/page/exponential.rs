//! Converts exponential histograms to buckets with explicit bounds.

use telemark_sdk::metrics::ExponentialHistogramPoint;

/// The finest scale on a page, with four buckets between a number and its double.
const MAX_SCALE: i32 = 2;
/// The coarsest scale, with two buckets: up to 1, and above 1.
const MIN_SCALE: i32 = -11;
/// The maximum number of buckets of one series.
const MAX_BUCKETS: i64 = 64;

/// Replaces `bounds` and `counts` with those of an exponential histogram. There is one more count than bounds.
///
/// Merges neighbouring buckets until at most [`MAX_BUCKETS`] remain. Merging is exact, because the bounds of a
/// coarser scale are a subset of those of a finer one. A bucket's series therefore stays valid if the
/// histogram's scale changes.
///
/// spec: compatibility/prometheus_and_openmetrics.md#exponential-histograms
pub(crate) fn exponential(point: &ExponentialHistogramPoint, bounds: &mut Vec<f64>, counts: &mut Vec<u64>) {
    bounds.clear();
    counts.clear();
    let (positive, negative) = (range(&point.positive.counts), range(&point.negative.counts));
    let mut scale = point.scale.min(MAX_SCALE);
    let index = |offset: i32, at: usize, scale: i32| {
        (i64::from(offset) + at as i64) >> point.scale.saturating_sub(scale).clamp(0, 63)
    };
    let span = |range: Option<(usize, usize)>, offset: i32, scale: i32| {
        range.map_or(0, |(first, last)| index(offset, last, scale) - index(offset, first, scale) + 1)
    };
    let all = |scale| span(positive, point.positive.offset, scale) + span(negative, point.negative.offset, scale);
    while scale > MIN_SCALE && all(scale) > MAX_BUCKETS {
        scale -= 1;
    }
    let mut add = |bound: f64, count: u64| match bounds.last() {
        // There is no finite bound. `merge_above` adds up these counts.
        _ if bound == f64::INFINITY => counts.push(count),
        // Outside the range of floats, several bounds coincide.
        Some(&last) if bound <= last => add_to_last(counts, count),
        _ => {
            bounds.push(bound);
            counts.push(count);
        }
    };
    if let Some((first, last)) = negative {
        let offset = point.negative.offset;
        // An empty bucket marks the lower end of the lowest bucket.
        let lowest = -power(index(offset, last, scale) + 1, scale);
        if lowest.is_finite() {
            add(lowest, 0);
        }
        for at in (first..=last).rev() {
            add((-power(index(offset, at, scale), scale)).max(f64::MIN), point.negative.counts[at]);
        }
    }
    if point.zero_count > 0 || negative.is_some() {
        let threshold = if point.zero_threshold.is_nan() { 0.0 } else { point.zero_threshold };
        add(threshold.clamp(0.0, f64::MAX), point.zero_count);
    }
    if let Some((first, last)) = positive {
        let offset = point.positive.offset;
        let below = power(index(offset, first, scale), scale);
        if below.is_finite() {
            add(below, 0);
        }
        for at in first..=last {
            add(power(index(offset, at, scale) + 1, scale), point.positive.counts[at]);
        }
    }
    merge_above(bounds, counts);
}

fn add_to_last(counts: &mut [u64], count: u64) {
    if let Some(last) = counts.last_mut() {
        *last = last.saturating_add(count);
    }
}

/// Merges everything above the last bound into one bucket, which is always present, even if empty.
fn merge_above(bounds: &[f64], counts: &mut Vec<u64>) {
    let above = counts.drain(bounds.len().min(counts.len())..).fold(0, u64::saturating_add);
    counts.push(above);
}

/// Returns the positions of the first and the last nonempty bucket.
fn range(counts: &[u64]) -> Option<(usize, usize)> {
    let first = counts.iter().position(|&count| count > 0)?;
    let last = counts.iter().rposition(|&count| count > 0)?;
    Some((first, last))
}

/// Returns 2^(index / 2^scale). Does not use a math library, so that the result is the same on every machine.
fn power(index: i64, scale: i32) -> f64 {
    const QUARTERS: [f64; 4] = [1.0, 1.189_207_115_002_721, std::f64::consts::SQRT_2, 1.681_792_830_507_429];
    let (exponent, quarter) = match scale {
        2 => (index >> 2, index & 3),
        1 => (index >> 1, (index & 1) * 2),
        _ => (index.saturating_mul(1i64.checked_shl(scale.unsigned_abs()).unwrap_or(i64::MAX)), 0),
    };
    QUARTERS[quarter as usize] * two_to(exponent)
}

/// Returns an exact power of two, zero below the smallest float, and infinity above the largest.
fn two_to(exponent: i64) -> f64 {
    match exponent {
        ..-1074 => 0.0,
        -1074..-1022 => f64::from_bits(1 << (exponent + 1074)),
        -1022..1024 => f64::from_bits(((exponent + 1023) as u64) << 52),
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use telemark_sdk::metrics::{Attributes, Buckets};

    fn point(scale: i32, zeros: u64, positive: (i32, &[u64]), negative: (i32, &[u64])) -> ExponentialHistogramPoint {
        let buckets = |(offset, counts): (i32, &[u64])| Buckets::new(offset, counts.to_vec());
        ExponentialHistogramPoint::new(Attributes::empty(), scale, zeros, buckets(positive), buckets(negative))
    }

    fn check(point: ExponentialHistogramPoint, expected: &str) {
        let (mut bounds, mut counts) = (vec![7.0], vec![7]);
        exponential(&point, &mut bounds, &mut counts);
        assert_eq!(format!("{bounds:?} {counts:?}"), expected);
    }

    #[test]
    fn buckets_have_upper_bounds() {
        check(point(0, 0, (0, &[1, 0, 2]), (0, &[])), "[1.0, 2.0, 4.0, 8.0] [0, 1, 0, 2, 0]");
        check(point(0, 5, (-1, &[1]), (0, &[])), "[0.0, 0.5, 1.0] [5, 0, 1, 0]");
        check(point(1, 0, (0, &[1, 1]), (0, &[])), "[1.0, 1.4142135623730951, 2.0] [0, 1, 1, 0]");
        check(point(0, 1, (0, &[3]), (0, &[4, 5])), "[-4.0, -2.0, -1.0, 0.0, 1.0, 2.0] [0, 5, 4, 1, 0, 3, 0]");
        check(point(0, 0, (0, &[]), (0, &[])), "[] [0]");
        check(point(3, 9, (0, &[0, 0]), (0, &[0])), "[0.0] [9, 0]");
    }

    #[test]
    fn fine_resolutions_are_merged() {
        check(point(3, 0, (0, &[1, 2, 3, 4]), (0, &[])), "[1.0, 1.189207115002721, 1.4142135623730951] [0, 3, 7, 0]");
        check(point(20, 0, (1 << 20, &[1, 2]), (0, &[])), "[2.0, 2.378414230005442] [0, 3, 0]");
        // 160 buckets at the finest scale of a page become 40 buckets at scale 0.
        let wide = vec![1; 160];
        let (mut bounds, mut counts) = (vec![], vec![]);
        exponential(&point(2, 0, (-80, &wide), (0, &[])), &mut bounds, &mut counts);
        assert_eq!((bounds.len(), counts.iter().sum::<u64>()), (41, 160));
        assert_eq!((bounds[0], bounds[40]), (2f64.powi(-20), 2f64.powi(20)));
    }

    #[test]
    fn bounds_beyond_the_range_of_numbers() {
        check(point(-11, 0, (-1, &[1, 2]), (0, &[])), "[0.0, 1.0] [0, 1, 2]");
        check(point(0, 0, (1023, &[3]), (0, &[])), "[8.98846567431158e307] [0, 3]");
        check(point(0, 0, (i32::MAX, &[3]), (0, &[])), "[] [3]");
        check(point(0, 2, (i32::MIN, &[3]), (0, &[])), "[0.0] [5, 0]");
        check(point(i32::MIN, 0, (-1, &[3]), (0, &[])), "[0.0, 1.0] [0, 3, 0]");
        check(point(0, 0, (0, &[]), (1023, &[3])), "[-8.98846567431158e307, 0.0] [3, 0, 0]");
    }

    proptest! {
        #[test]
        fn no_count_is_lost(
            scale: i32, offsets: [i32; 2], small in -12i32..21,
            positive in prop::collection::vec(0u64..5, 0..200), negative in prop::collection::vec(0u64..5, 0..200),
            zeros in 0u64..3, hostile: bool
        ) {
            let scale = if hostile { scale } else { small };
            let offsets = if hostile { offsets } else { offsets.map(|offset| offset % 1000) };
            let point = point(scale, zeros, (offsets[0], &positive), (offsets[1], &negative));
            let (mut bounds, mut counts) = (vec![], vec![]);
            exponential(&point, &mut bounds, &mut counts);
            prop_assert!(crate::page::bounds::are_in_order(&bounds), "{bounds:?}");
            prop_assert_eq!(counts.len(), bounds.len() + 1);
            prop_assert_eq!(counts.iter().sum::<u64>(), point.count);
            prop_assert!(bounds.len() <= 70);
        }

        #[test]
        fn values_lie_in_their_buckets(values in prop::collection::vec(1e-6f64..1e6, 1..50), scale in -3i32..3) {
            // Rounding may put a value that equals a bound on either side of it, but no value here equals a
            // bound.
            let index = |value: f64| (value.log2() * f64::from(scale).exp2()).ceil() as i32 - 1;
            let offset = values.iter().map(|&value| index(value)).min().unwrap();
            let last = values.iter().map(|&value| index(value)).max().unwrap();
            let mut given = vec![0; (last - offset) as usize + 1];
            values.iter().for_each(|&value| given[(index(value) - offset) as usize] += 1);
            let (mut bounds, mut counts) = (vec![], vec![]);
            exponential(&point(scale, 0, (offset, &given), (0, &[])), &mut bounds, &mut counts);
            let mut expected = vec![0; bounds.len() + 1];
            values.iter().for_each(|&value| expected[bounds.partition_point(|&bound| bound < value)] += 1);
            prop_assert_eq!(counts, expected);
        }
    }
}
