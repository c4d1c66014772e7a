//! Numbers as text, written straight into the page.

use telemark_sdk::metrics::Number;

/// Writes a number of any kind.
#[inline]
pub(crate) fn number(out: &mut Vec<u8>, value: Number) {
    match value {
        Number::I64(value) => {
            if value < 0 {
                out.push(b'-');
            }
            unsigned(out, value.unsigned_abs());
        }
        Number::U64(value) => unsigned(out, value),
        Number::F64(value) => float(out, value),
    }
}

/// Writes a whole number.
#[inline]
pub(crate) fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    if value < 10 {
        out.push(b'0' + value as u8);
        return;
    }
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while value >= 100 {
        let two = pair(value % 100);
        value /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(two);
    }
    if value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(pair(value));
    } else {
        at -= 1;
        digits[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

#[inline]
fn pair(value: u64) -> &'static [u8] {
    const PAIRS: [u8; 200] = {
        let mut pairs = [0; 200];
        let mut value = 0;
        while value < 100 {
            pairs[value * 2] = b'0' + (value / 10) as u8;
            pairs[value * 2 + 1] = b'0' + (value % 10) as u8;
            value += 1;
        }
        pairs
    };
    let at = value as usize * 2;
    &PAIRS[at..at + 2]
}

/// Writes a floating-point number in the fewest digits that read back as the same.
#[inline]
pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

/// Writes the bound of a bucket as everybody does: bounds are parts of names, and `1`, `1.0` and `1e0` would be three.
///
/// An exponent has a sign and two digits and stands where it is below -4 or above 5; other numbers have a point.
///
/// spec: OpenMetrics.md#considerations-canonical-numbers
pub(crate) fn canonical(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() || value == 0.0 {
        // There is no bound -0.
        return float(out, if value == 0.0 { 0.0 } else { value });
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value.abs());
    // The digits without zeros around them, and the position of the point behind the first of them.
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let leading = all.iter().take_while(|&&digit| digit == b'0').count();
    let trailing = all.iter().rev().take_while(|&&digit| digit == b'0').count();
    let digits = &all[leading..all.len() - trailing];
    let exponent: i32 = exponent + whole.len() as i32 - 1 - leading as i32;

    if value < 0.0 {
        out.push(b'-');
    }
    if !(-4..6).contains(&exponent) {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.unsigned_abs() < 10 {
            out.push(b'0');
        }
        unsigned(out, exponent.unsigned_abs().into());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        out.extend_from_slice(&digits[..whole.min(digits.len())]);
        out.extend(std::iter::repeat_n(b'0', whole.saturating_sub(digits.len())));
        out.push(b'.');
        match digits.get(whole..).filter(|fraction| !fraction.is_empty()) {
            Some(fraction) => out.extend_from_slice(fraction),
            None => out.push(b'0'),
        }
    }
}

/// Writes nanoseconds since the epoch as seconds.
#[inline]
pub(crate) fn seconds(out: &mut Vec<u8>, nanos: u64) {
    unsigned(out, nanos / 1_000_000_000);
    let fraction = nanos % 1_000_000_000;
    if fraction == 0 {
        return;
    }
    let mut digits = [b'.', 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut rest = fraction;
    for two in digits[2..].chunks_exact_mut(2).rev() {
        two.copy_from_slice(pair(rest % 100));
        rest /= 100;
    }
    digits[1] = b'0' + rest as u8;
    let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    out.extend_from_slice(&digits[..digits.len() - zeros]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bounds_are_canonical() {
        let check = |value: f64, expected: &str| assert_eq!(text(|out| canonical(out, value)), expected);
        check(0.0, "0.0");
        check(-0.0, "0.0");
        check(0.001, "0.001");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(0.025, "0.025");
        check(1.0, "1.0");
        check(2.5, "2.5");
        check(10.0, "10.0");
        check(-7.5, "-7.5");
        check(100_000.0, "100000.0");
        check(123_456.0, "123456.0");
        check(123_456.7, "123456.7");
        check(1e6, "1e+06");
        check(1_234_567.0, "1.234567e+06");
        check(1e10, "1e+10");
        check(1e100, "1e+100");
        check(-1.5e-7, "-1.5e-07");
        check(f64::INFINITY, "+Inf");
        check(f64::MIN_POSITIVE, "2.2250738585072014e-308");
    }

    #[test]
    fn times() {
        let check = |nanos, expected: &str| assert_eq!(text(|out| seconds(out, nanos)), expected);
        check(0, "0");
        check(1, "0.000000001");
        check(1_520_879_607_789_000_000, "1520879607.789");
        check(3_000_000_000, "3");
        check(u64::MAX, "18446744073.709551615");
    }

    #[test]
    fn values() {
        let check = |value: Number, expected: &str| assert_eq!(text(|out| number(out, value)), expected);
        check(Number::I64(i64::MIN), "-9223372036854775808");
        check(Number::U64(u64::MAX), "18446744073709551615");
        check(Number::F64(3.0), "3.0");
        check(Number::F64(1e300), "1e300");
        check(Number::F64(f64::NAN), "NaN");
        check(Number::F64(f64::NEG_INFINITY), "-Inf");
    }

    proptest! {
        #[test]
        fn whole_numbers_are_those_of_the_standard_library(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            prop_assert_eq!(text(|out| unsigned(out, value)), value.to_string());
        }

        #[test]
        fn times_have_nine_digits_at_most(nanos: u64) {
            let expected = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            prop_assert_eq!(text(|out| seconds(out, nanos)), expected.trim_end_matches('0').trim_end_matches('.'));
        }

        #[test]
        fn bounds_read_back(value in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
            prop_assert_eq!(text(|out| canonical(out, value)).parse::<f64>().unwrap(), value);
        }
    }
}
