//! Numbers as text, written straight into the page.

use telemark_sdk::metrics::Number;

use crate::text::line::Sink;

/// Writes a number of any kind.
#[inline]
pub(crate) fn number(out: &mut impl Sink, value: Number) {
    match value {
        Number::I64(value) => {
            if value < 0 {
                out.put(*b"-", 1);
            }
            unsigned(out, value.unsigned_abs());
        }
        Number::U64(value) => unsigned(out, value),
        Number::F64(value) => float(out, value),
    }
}

/// Writes a whole number.
#[inline]
pub(crate) fn unsigned(out: &mut impl Sink, value: u64) {
    match u32::try_from(value) {
        Ok(small) if small < E8 => {
            let (text, length) = short(small);
            out.put(text.to_le_bytes(), length);
        }
        _ => long(out, value),
    }
}

/// One more than the greatest number of eight digits, and of nine.
const E8: u32 = 100_000_000;
const E9: u64 = 1_000_000_000;

/// Writes a number of nine digits or more.
fn long(out: &mut impl Sink, value: u64) {
    unsigned(out, value / u64::from(E8));
    out.put(ascii(digits((value % u64::from(E8)) as u32)).to_le_bytes(), 8);
}

/// The text of a number of at most eight digits, its first one in the lowest byte, and its length.
#[inline]
fn short(value: u32) -> (u64, usize) {
    let digits = digits(value);
    // Zero has one digit.
    let zeros = (digits | 1 << 56).trailing_zeros() & !7;
    (ascii(digits) >> zeros, 8 - zeros as usize / 8)
}

/// The values of the eight digits of a number, the first one in the lowest byte.
#[inline]
fn digits(value: u32) -> u64 {
    // The halves of each lane become lanes themselves: 4 digits, then 2, then 1. The products are divisions of all lanes at
    // once, exact for so many digits.
    let four = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    let hundreds = ((four * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let two = hundreds | (four - hundreds * 100) << 16;
    let tens = ((two * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (two - tens * 10) << 8
}

#[inline]
fn ascii(digits: u64) -> u64 {
    digits | 0x3030_3030_3030_3030
}

/// A point and nine digits as text, and its length without the zeros at its end: 1 for none.
#[inline]
fn fraction(billionths: u32) -> (u128, usize) {
    let first = u128::from(billionths / E8);
    let rest = digits(billionths % E8);
    let text = u128::from(b'.') | (first | 0x30) << 8 | u128::from(ascii(rest)) << 16;
    let length = match (first, rest) {
        (0, 0) => 1,
        _ => 10 - rest.leading_zeros() as usize / 8,
    };
    (text, length)
}

/// Writes a floating-point number in the fewest digits that read back as the same.
#[inline]
pub(crate) fn float(out: &mut impl Sink, value: f64) {
    match decimal(value) {
        Some((text, length)) => out.put(text.to_le_bytes(), length),
        None => any_float(out, value),
    }
}

/// The text of a number below a million with at most nine digits behind the point, which durations in seconds are.
///
/// Such a number has at most 15 digits. No two decimals of 15 digits are the same floating-point number, so that one which
/// reads back as the value is the shortest, and what reading it gives is this quotient: both numbers in it are exact.
#[inline(always)]
fn decimal(value: f64) -> Option<(u128, usize)> {
    // Below that, there is an exponent.
    if !(1e-5..1e6).contains(&value) {
        return None;
    }
    let billionths = (value * 1e9 + 0.5) as i64;
    if billionths as f64 / 1e9 != value {
        return None;
    }
    let billionths = billionths.unsigned_abs();
    let whole = (billionths / E9) as u32;
    let (whole, whole_length) = if whole < 10 { (u64::from(whole) | 0x30, 1) } else { short(whole) };
    let (fraction, length) = fraction((billionths % E9) as u32);
    Some((u128::from(whole) | fraction << (whole_length * 8), whole_length + length.max(2)))
}

fn any_float(out: &mut impl Sink, value: f64) {
    if value.is_finite() {
        out.put_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.put(*b"NaN", 3);
    } else {
        out.put(if value > 0.0 { *b"+Inf" } else { *b"-Inf" }, 4);
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
    // No text is longer than 24 characters.
    let mut all = [b'0'; 32];
    let end = whole.len() + fraction.len();
    all[..whole.len()].copy_from_slice(whole.as_bytes());
    all[whole.len()..end].copy_from_slice(fraction.as_bytes());
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

/// The hexadecimal digits of ids, each with four bytes of one, the first one in the lowest byte: their text, in the same order.
///
/// Each step is one for all of them, which the compiler turns into few instructions.
#[inline(always)]
pub(crate) fn hexadecimal<const N: usize>(words: [u32; N]) -> [u64; N] {
    // Sixteen bits for each byte, then eight for each digit.
    let two = words.map(u64::from).map(|four| (four | four << 16) & 0x0000_ffff_0000_ffff);
    let one = two.map(|two| (two | two << 8) & 0x00ff_00ff_00ff_00ff);
    let digits = one.map(|one| (one >> 4 | one << 8) & 0x0f0f_0f0f_0f0f_0f0f);
    digits.map(|digits| {
        // One in the bytes of those above 9, which are letters.
        let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
        let gap = (letters << 8).wrapping_sub(letters) & 0x2727_2727_2727_2727;
        digits + 0x3030_3030_3030_3030 + gap
    })
}

/// Writes nanoseconds since the epoch as seconds.
#[inline]
pub(crate) fn seconds(out: &mut impl Sink, nanos: u64) {
    let (seconds, billionths) = (nanos / E9, (nanos % E9) as u32);
    let above = seconds / u64::from(E8);
    if (10..100).contains(&above) {
        // As in the years from 2001 to 2286.
        let rest = ascii(digits((seconds % u64::from(E8)) as u32));
        let text = 0x3030 | u128::from(above / 10) | u128::from(above % 10) << 8 | u128::from(rest) << 16;
        out.put(text.to_le_bytes(), 10);
    } else {
        unsigned(out, seconds);
    }
    let (text, length) = fraction(billionths);
    if length > 1 {
        out.put(text.to_le_bytes(), length);
    }
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

    /// Numbers of the kinds that there are on pages, and of all others.
    fn floats() -> impl Strategy<Value = f64> {
        let around = (0u64..1_000_000_000_000_000, -2i64..=2, 0u32..16).prop_map(|(digits, ulps, places)| {
            let near = digits as f64 / 10f64.powi(places as i32);
            f64::from_bits(near.to_bits().saturating_add_signed(ulps))
        });
        let durations = (0u64..2_000_000_000_000, 0u32..40)
            .prop_map(|(nanos, shift)| std::time::Duration::from_nanos(nanos >> shift).as_secs_f64());
        let limits =
            prop::sample::select(vec![0.0, -0.0, 1e-5, 9.9e-6, 1e6, 999_999.999_999_999, 1e15, 1e16, 1e17, 0.1]);
        prop_oneof![around, durations, limits, any::<f64>(), any::<u64>().prop_map(f64::from_bits)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// The standard library's digits are the shortest, too. Of two of them that are as near, each has its own choice; with
        /// 15 digits there are no two.
        #[test]
        fn floats_are_the_shortest(value in floats()) {
            let text = text(|out| float(out, value));
            let standard = match value.abs() {
                _ if value.is_nan() => "NaN".to_owned(),
                f64::INFINITY => format!("{}Inf", if value > 0.0 { '+' } else { '-' }),
                // A point stands in all but these.
                0.0 | 1e-5..1e16 => Some(format!("{value}")).map(|plain| if plain.contains('.') { plain } else { plain + ".0" }).unwrap(),
                _ => format!("{value:e}"),
            };
            if decimal(value).is_some() {
                prop_assert_eq!(&text, &standard);
            }
            prop_assert_eq!(text.len(), standard.len(), "{} {}", text, standard);
            if value.is_finite() {
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
                let mut buffer = ryu::Buffer::new();
                prop_assert_eq!(&*text, buffer.format_finite(value));
            }
        }
    }

    /// So that the numbers above are some of each kind.
    #[test]
    fn decimals_are_those_of_fifteen_digits() {
        let is_decimal = |value: f64| decimal(value).is_some();
        assert!(
            [1e-5, 0.1, 0.25, 7.0, 0.000_123_456, 123_456.789_012_345, 999_999.999_999_999].into_iter().all(is_decimal)
        );
        assert!(![0.0, -0.5, 9e-6, 1e6, 0.1 + 0.2, 1.0 / 3.0, f64::NAN, f64::INFINITY].into_iter().any(is_decimal));
    }

    proptest! {
        #[test]
        fn whole_numbers_are_those_of_the_standard_library(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            prop_assert_eq!(text(|out| unsigned(out, value)), value.to_string());
        }

        #[test]
        fn ids_are_hexadecimal(id: u32, shift in 0u32..32) {
            let id = id >> shift;
            let texts = hexadecimal([id, id.swap_bytes()]).map(|text| String::from_utf8(text.to_le_bytes().to_vec()).unwrap());
            prop_assert_eq!(texts, [format!("{:08x}", id.swap_bytes()), format!("{id:08x}")]);
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
