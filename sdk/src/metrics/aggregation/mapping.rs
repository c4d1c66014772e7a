//! Maps a value to the index of its exponential bucket.

use std::f64::consts::LOG2_E;

/// Returns the bucket index of a positive value. Bucket `i` covers (base^i, base^(i+1)], where base =
/// 2^(2^-scale).
///
/// Powers of two are exact at every scale, and every value is exact at scales up to zero. At positive scales, a
/// value within a rounding error of a bound may land in the neighbouring bucket.
///
/// spec: metrics/data-model.md#exponential-buckets
pub(super) fn index_of(value: f64, scale: i32) -> i32 {
    let (exponent, is_power_of_two) = exponent_of(value);
    // At scale 0, the index is the exponent of the greatest power of two strictly below the value.
    let at_zero = if is_power_of_two { exponent - 1 } else { exponent };
    if scale <= 0 {
        return at_zero >> -scale;
    }
    if is_power_of_two {
        return (exponent << scale) - 1;
    }
    // Take the logarithm of the fraction only, so that a large exponent does not cost precision.
    let fraction = fraction_of(value);
    let within = (fraction.ln() * LOG2_E * f64::from(1u32 << scale)).ceil() as i32 - 1;
    (exponent << scale) + within.clamp(0, (1 << scale) - 1)
}

const FRACTION_BITS: u32 = 52;
const FRACTION: u64 = (1 << FRACTION_BITS) - 1;

/// Returns the exponent of the greatest power of two not above a positive value, and true if the value is that
/// power. Handles subnormal values.
fn exponent_of(value: f64) -> (i32, bool) {
    let bits = value.to_bits();
    match (bits >> FRACTION_BITS & 0x7ff) as i32 {
        0 => {
            let fraction = bits & FRACTION;
            let highest = 63 - fraction.leading_zeros() as i32;
            (highest - 1074, fraction.is_power_of_two())
        }
        biased => (biased - 1023, bits & FRACTION == 0),
    }
}

/// Returns the value divided by the greatest power of two not above it: a number in [1, 2).
fn fraction_of(value: f64) -> f64 {
    // Scale a subnormal value into the normal range; its significant digits stay the same.
    let value = if value.is_normal() { value } else { value * (1u64 << 53) as f64 };
    f64::from_bits(value.to_bits() & FRACTION | 1023 << FRACTION_BITS)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(value: f64, scale: i32, expected: i32) {
        assert_eq!(index_of(value, scale), expected, "{value:e} at scale {scale}");
    }

    #[test]
    fn the_specifications_examples() {
        check(1.0, 0, -1);
        check(1.5, 0, 0);
        check(2.0, 0, 0);
        check(2.5, 0, 1);
        check(4.0, 0, 1);
        check(0.5, 0, -2);
        check(4.0, -1, 0);
        check(4.1, -1, 1);
        check(1.0, 1, -1);
        check(1.2, 1, 0);
        check(2f64.sqrt() * 1.0001, 1, 1);
        check(2.0, 1, 1);
        check(2.0, 20, (1 << 20) - 1);
    }

    #[test]
    fn the_ends_of_the_range_fit() {
        check(f64::MAX, 20, (1024 << 20) - 1);
        check(f64::MIN_POSITIVE, 20, (-1022 << 20) - 1);
        check(f64::from_bits(1), 20, (-1074 << 20) - 1);
        check(f64::from_bits(1), 0, -1075);
        check(f64::from_bits(3), 0, -1073);
        check(f64::MAX, -10, 0);
        check(f64::from_bits(1), -10, -2);
        check(f64::MAX, -11, 0);
        check(f64::from_bits(1), -11, -1);
    }

    proptest! {
        /// Halving an index yields the index at the next coarser scale, which is how buckets are merged.
        #[test]
        fn scales_are_subsets(value in prop::num::f64::POSITIVE, scale in -10i32..20) {
            prop_assume!(value > 0.0 && value.is_finite());
            let (fine, coarse) = (index_of(value, scale + 1), index_of(value, scale));
            // At positive scales, rounding in the logarithm may move a value near a bound by one bucket.
            let error = if scale < 0 { 0 } else { 1 };
            prop_assert!((fine >> 1).abs_diff(coarse) <= error, "{} {} {}", value, fine, coarse);
        }

        #[test]
        fn a_value_is_within_its_bucket(value in 1e-300f64..1e300, scale in 0i32..=20) {
            let index = index_of(value, scale);
            let bound = |index: i32| (f64::from(index) * 2f64.powi(-scale)).exp2();
            prop_assert!(bound(index) <= value * (1.0 + 1e-12) && value <= bound(index + 1) * (1.0 + 1e-12));
        }
    }
}
