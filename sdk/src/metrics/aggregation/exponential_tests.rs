//! Tests of the exponential histogram: growth, extreme values, and agreement with a naive implementation.

use proptest::prelude::*;

use super::exponential::ExponentialTotal;
use super::mapping::index_of;
use crate::metrics::config::ExponentialConfig;
use crate::metrics::data::{Attributes, ExponentialHistogramPoint};

fn config(max_size: usize, max_scale: i32) -> ExponentialConfig {
    ExponentialConfig { max_size, max_scale, record_min_max: true, record_sum: true }
}

fn recorded(config: &ExponentialConfig, values: &[f64]) -> ExponentialHistogramPoint {
    let mut total = ExponentialTotal::new(config);
    values.iter().for_each(|value| total.record(config, *value));
    total.into_point(config, Attributes::empty())
}

fn text(point: &ExponentialHistogramPoint) -> String {
    let side = |buckets: &crate::metrics::Buckets| format!("{}{:?}", buckets.offset, buckets.counts);
    format!("{} zero {} + {} - {}", point.scale, point.zero_count, side(&point.positive), side(&point.negative))
}

fn check(max_size: usize, values: &[f64], expected: &str) {
    assert_eq!(text(&recorded(&config(max_size, 20), values)), expected, "{values:?}");
}

#[test]
fn one_value_has_the_finest_resolution() {
    check(160, &[1.0], "20 zero 0 + -1[1] - 0[]");
    check(160, &[-4.0, -4.0], "20 zero 0 + 0[] - 2097151[2]");
    check(160, &[0.0, -0.0], "20 zero 2 + 0[] - 0[]");
}

#[test]
fn it_gets_coarser_as_values_spread() {
    check(4, &[1.0, 2.0], "1 zero 0 + -1[1, 0, 1] - 0[]");
    check(4, &[1.0, 2.0, 4.0], "0 zero 0 + -1[1, 1, 1] - 0[]");
    check(2, &[1.0, 2.0, 4.0], "-1 zero 0 + -1[1, 2] - 0[]");
    check(4, &[4.0, 2.0, 1.0, -1.0, 0.0], "0 zero 1 + -1[1, 1, 1] - -1[1]");
    // Growing downwards and upwards.
    check(4, &[8.0, 0.5, 2.0], "-1 zero 0 + -1[1, 1, 1] - 0[]");
}

#[test]
fn extremes_fit() {
    let tiny = f64::from_bits(1);
    check(2, &[tiny, f64::MAX], "-11 zero 0 + -1[1, 1] - 0[]");
    // 2098 powers of two fit into 160 buckets.
    let point = recorded(&config(160, 20), &[tiny, f64::MAX, -tiny, -f64::MAX]);
    assert_eq!(point.scale, -4);
    for side in [&point.positive, &point.negative] {
        assert_eq!((side.offset, side.counts.len(), side.total()), (-68, 132, 2));
    }
}

#[test]
fn the_ideal_scales_of_the_specification() {
    for (low, high, scale) in [(1e-3, 4e-3, 6), (1e-3, 20e-3, 5), (1e-3, 1.0, 4), (1e-3, 100.0, 3), (1e-6, 10.0, 2)] {
        assert_eq!(recorded(&config(160, 20), &[low, high]).scale, scale, "{low} to {high}");
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3f64..1e3,
        2 => (1i32..300).prop_map(|power| 2f64.powi(power - 150)),
        1 => prop::num::f64::SUBNORMAL | prop::num::f64::NORMAL | prop::num::f64::ZERO,
    ]
}

proptest! {
    /// The result equals a count of all values at the final resolution, never has more buckets than allowed, and is
    /// never coarser than the values require.
    #[test]
    fn it_agrees_with_counting_at_the_final_scale(
        values in prop::collection::vec(value(), 1..60), size in 2usize..20, scale in -10i32..=20
    ) {
        let point = recorded(&config(size, scale), &values);
        prop_assert_eq!(point.count, values.len() as u64);
        prop_assert_eq!(point.zero_count, values.iter().filter(|value| **value == 0.0).count() as u64);
        for (side, sign) in [(&point.positive, 1.0), (&point.negative, -1.0)] {
            prop_assert!(side.counts.len() <= size);
            let magnitudes: Vec<f64> = values.iter().map(|value| value * sign).filter(|value| *value > 0.0).collect();
            prop_assert_eq!(side.total(), magnitudes.len() as u64);
            // Compute the index at the finest scale and then halve it, as the histogram does. An index computed at the
            // final scale could differ by one because of rounding in the logarithm.
            for magnitude in magnitudes {
                let index = index_of(magnitude, scale) >> (scale - point.scale);
                prop_assert!(index >= side.offset && ((index - side.offset) as usize) < side.counts.len());
            }
            if let (Some(first), Some(last)) = (side.counts.first(), side.counts.last()) {
                prop_assert!(*first > 0 && *last > 0);
            }
        }
    }

    #[test]
    fn merging_parts_equals_recording_the_whole(
        values in prop::collection::vec(value(), 1..60), parts in prop::collection::vec(0usize..3, 60), size in 2usize..20
    ) {
        let config = config(size, 20);
        let mut cells = [(); 3].map(|()| ExponentialTotal::new(&config));
        for (value, part) in values.iter().zip(&parts) {
            cells[*part].record(&config, *value);
        }
        let mut merged = ExponentialTotal::new(&config);
        cells.iter().for_each(|cell| merged.merge(&config, cell));
        let merged = merged.into_point(&config, Attributes::empty());
        let whole = recorded(&config, &values);
        prop_assert_eq!(text(&merged), text(&whole));
        prop_assert_eq!((merged.min, merged.max), (whole.min, whole.max));
    }
}
