//! Buckets: the bounds of a series as text, and exponential buckets as ones with bounds.

use telemark_sdk::metrics::ExponentialHistogramPoint;

use crate::text::numbers::canonical;

/// The bounds of the last series, as labels: the next one mostly has the same.
#[derive(Default)]
pub(crate) struct Bounds {
    of: Vec<f64>,
    texts: Vec<Bound>,
}

/// A bound from its first digit to the space before the count, and its length.
pub(crate) type Bound = ([u8; 32], usize);

impl Bounds {
    /// The bounds and `+Inf` as labels; `None` when they are not in order and hence none.
    #[inline]
    pub(crate) fn learn(&mut self, bounds: &[f64]) -> Option<&[Bound]> {
        let is_known = !self.texts.is_empty() && self.of == bounds;
        (is_known || self.write(bounds)).then_some(&*self.texts)
    }

    /// False when they are not in order.
    fn write(&mut self, bounds: &[f64]) -> bool {
        if !are_in_order(bounds) {
            return false;
        }
        // What the last series had in the same place is there already.
        let same = self.of.iter().zip(bounds).take_while(|(known, bound)| known == bound).count();
        self.of.truncate(same);
        self.texts.truncate(same);
        let mut text = Vec::with_capacity(32);
        for &bound in bounds.get(same..).unwrap_or_default().iter().chain(&[f64::INFINITY]) {
            text.clear();
            canonical(&mut text, bound);
            text.extend_from_slice(b"\"} ");
            let length = text.len();
            // The longest number has 24 characters.
            text.resize(32, 0);
            self.texts.push((text.first_chunk().copied().unwrap_or_default(), length));
        }
        self.of.extend_from_slice(bounds.get(same..).unwrap_or_default());
        true
    }
}

/// Finite and strictly increasing.
fn are_in_order(bounds: &[f64]) -> bool {
    bounds.iter().all(|bound| bound.is_finite()) && bounds.windows(2).all(|pair| pair[0] < pair[1])
}

/// The finest resolution on a page: four buckets between a number and its double.
const FINEST: i32 = 2;
/// The most buckets of one series.
const MOST: i64 = 64;
/// At this resolution there are two buckets, below and above one.
const COARSEST: i32 = -11;

/// Replaces `bounds` and `counts` by those of an exponential histogram, one count more than bounds.
///
/// Neighbours are merged until few enough are left, which is exact: the bounds of a coarser resolution are among those of
/// a finer one, so that series of bounds stay true when a histogram grows.
///
/// spec: compatibility/prometheus_and_openmetrics.md#exponential-histograms
pub(crate) fn exponential(point: &ExponentialHistogramPoint, bounds: &mut Vec<f64>, counts: &mut Vec<u64>) {
    bounds.clear();
    counts.clear();
    let (positive, negative) = (range(&point.positive.counts), range(&point.negative.counts));
    let mut scale = point.scale.min(FINEST);
    let index = |offset: i32, at: usize, scale: i32| {
        (i64::from(offset) + at as i64) >> point.scale.saturating_sub(scale).clamp(0, 63)
    };
    let span = |range: Option<(usize, usize)>, offset: i32, scale: i32| {
        range.map_or(0, |(first, last)| index(offset, last, scale) - index(offset, first, scale) + 1)
    };
    let all = |scale| span(positive, point.positive.offset, scale) + span(negative, point.negative.offset, scale);
    while scale > COARSEST && all(scale) > MOST {
        scale -= 1;
    }
    let mut add = |bound: f64, count: u64| match bounds.last() {
        // `merge_above` counts what has no bound.
        _ if bound == f64::INFINITY => counts.push(count),
        // Bounds that are the same number are one: beyond the smallest and the largest numbers.
        Some(&last) if bound <= last => add_to_last(counts, count),
        _ => {
            bounds.push(bound);
            counts.push(count);
        }
    };
    if let Some((first, last)) = negative {
        let offset = point.negative.offset;
        // Below the lowest bucket there is nothing.
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

/// What is above all bounds is one bucket, which is there even when it is empty.
fn merge_above(bounds: &[f64], counts: &mut Vec<u64>) {
    let above = counts.drain(bounds.len().min(counts.len())..).fold(0, u64::saturating_add);
    counts.push(above);
}

/// The first and the last bucket with anything in it.
fn range(counts: &[u64]) -> Option<(usize, usize)> {
    let first = counts.iter().position(|&count| count > 0)?;
    let last = counts.iter().rposition(|&count| count > 0)?;
    Some((first, last))
}

/// 2^(index / 2^scale): the same number on every machine, unlike that of a mathematical library.
fn power(index: i64, scale: i32) -> f64 {
    const QUARTERS: [f64; 4] = [1.0, 1.189_207_115_002_721, std::f64::consts::SQRT_2, 1.681_792_830_507_429];
    let (exponent, quarter) = match scale {
        2 => (index >> 2, index & 3),
        1 => (index >> 1, (index & 1) * 2),
        _ => (index.saturating_mul(1i64.checked_shl(scale.unsigned_abs()).unwrap_or(i64::MAX)), 0),
    };
    QUARTERS[quarter as usize] * two_to(exponent)
}

/// Powers of two, exact; zero and infinity beyond those that there are.
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
        // 160 buckets at the finest resolution of a page become 40 at that of powers of two.
        let wide = vec![1; 160];
        let (mut bounds, mut counts) = (vec![], vec![]);
        exponential(&point(2, 0, (-80, &wide), (0, &[])), &mut bounds, &mut counts);
        assert_eq!((bounds.len(), counts.iter().sum::<u64>()), (41, 160));
        assert_eq!((bounds[0], bounds[40]), (2f64.powi(-20), 2f64.powi(20)));
    }

    #[test]
    fn numbers_without_a_neighbour() {
        check(point(-11, 0, (-1, &[1, 2]), (0, &[])), "[0.0, 1.0] [0, 1, 2]");
        check(point(0, 0, (1023, &[3]), (0, &[])), "[8.98846567431158e307] [0, 3]");
        check(point(0, 0, (i32::MAX, &[3]), (0, &[])), "[] [3]");
        check(point(0, 2, (i32::MIN, &[3]), (0, &[])), "[0.0] [5, 0]");
        check(point(i32::MIN, 0, (-1, &[3]), (0, &[])), "[0.0, 1.0] [0, 3, 0]");
        check(point(0, 0, (0, &[]), (1023, &[3])), "[-8.98846567431158e307, 0.0] [3, 0, 0]");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(
            scale: i32, offsets: [i32; 2], small in -12i32..21,
            positive in prop::collection::vec(0u64..5, 0..200), negative in prop::collection::vec(0u64..5, 0..200),
            zeros in 0u64..3, hostile: bool
        ) {
            let scale = if hostile { scale } else { small };
            let offsets = if hostile { offsets } else { offsets.map(|offset| offset % 1000) };
            let point = point(scale, zeros, (offsets[0], &positive), (offsets[1], &negative));
            let (mut bounds, mut counts) = (vec![], vec![]);
            exponential(&point, &mut bounds, &mut counts);
            prop_assert!(are_in_order(&bounds), "{bounds:?}");
            prop_assert_eq!(counts.len(), bounds.len() + 1);
            prop_assert_eq!(counts.iter().sum::<u64>(), point.count);
            prop_assert!(bounds.len() <= 70);
        }

        #[test]
        fn values_lie_in_their_buckets(values in prop::collection::vec(1e-6f64..1e6, 1..50), scale in -3i32..3) {
            // Values on a bound fall to either side of it by rounding; these have none.
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
