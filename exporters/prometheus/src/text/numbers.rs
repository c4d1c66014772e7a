//! Formats numbers directly into the page.

use telemark_sdk::metrics::Number;

/// Writes a number of any type.
#[inline]
pub(crate) fn number(out: &mut Vec<u8>, value: Number) {
    match value {
        Number::I64(value) => signed(out, value),
        Number::U64(value) => unsigned(out, value),
        Number::F64(value) => float(out, value),
    }
}

#[inline]
pub(crate) fn signed(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[inline]
pub(crate) fn unsigned(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes a floating-point number with the fewest digits that still parse to the same number.
#[inline]
pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        if value.abs() < 1e16 {
            out.extend_from_slice(text.as_bytes());
        } else {
            // Omit the plus sign that zmij writes before a positive exponent.
            text.split('+').for_each(|part| out.extend_from_slice(part.as_bytes()));
        }
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

/// Writes nanoseconds since the epoch as seconds.
#[inline]
pub(crate) fn seconds(out: &mut Vec<u8>, nanos: u64) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(nanos).as_bytes();
    let (seconds, mut fraction) = digits.split_at(digits.len().saturating_sub(9));
    // Padding is needed only in the first second after the epoch.
    let missing_zeros = 9 - fraction.len();
    while let [significant @ .., b'0'] = fraction {
        fraction = significant;
    }
    out.extend_from_slice(if seconds.is_empty() { b"0" } else { seconds });
    if !fraction.is_empty() {
        out.extend_from_slice(&b".00000000"[..=missing_zeros]);
        out.extend_from_slice(fraction);
    }
}

/// Writes the bound of a bucket in canonical form. A bound is part of a series' identity, so `1`, `1.0` and
/// `1e0` would be three different series.
///
/// Numbers whose exponent is below -4 or above 5 are written with a signed exponent of at least two digits, all
/// others with a decimal point.
///
/// spec: OpenMetrics.md#considerations-canonical-numbers
pub(crate) fn canonical(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() || value == 0.0 {
        // Write -0 as 0.
        return float(out, if value == 0.0 { 0.0 } else { value });
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value.abs());
    // The digits without leading and trailing zeros, and the exponent of the first digit.
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // The text has at most 24 characters.
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

/// Returns the hexadecimal digits of 4-byte words, in the same order. The lowest byte of a word comes first.
///
/// Each step processes all words at once, which compiles to only a few instructions.
#[inline(always)]
pub(crate) fn hexadecimal<const N: usize>(words: [u32; N]) -> [u64; N] {
    // Spread each byte to 16 bits, then each digit to 8 bits.
    let two = words.map(u64::from).map(|four| (four | four << 16) & 0x0000_ffff_0000_ffff);
    let one = two.map(|two| (two | two << 8) & 0x00ff_00ff_00ff_00ff);
    let digits = one.map(|one| (one >> 4 | one << 8) & 0x0f0f_0f0f_0f0f_0f0f);
    digits.map(|digits| {
        // Each byte is 1 if its digit is a letter, that is, above 9.
        let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
        let gap = (letters << 8).wrapping_sub(letters) & 0x2727_2727_2727_2727;
        digits + 0x3030_3030_3030_3030 + gap
    })
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

    /// Generates numbers that are typical of pages, numbers at limits, and arbitrary numbers.
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

        /// The standard library also writes the fewest digits. Two results of that length may be equally close, but not if they
        /// have at most 15 digits.
        #[test]
        fn floats_are_the_shortest(value in floats()) {
            let text = text(|out| float(out, value));
            let standard = match value.abs() {
                _ if value.is_nan() => "NaN".to_owned(),
                f64::INFINITY => format!("{}Inf", if value > 0.0 { '+' } else { '-' }),
                0.0 | 1e-5..1e16 => Some(format!("{value}")).map(|plain| if plain.contains('.') { plain } else { plain + ".0" }).unwrap(),
                _ => format!("{value:e}"),
            };
            if standard.bytes().filter(u8::is_ascii_digit).count() <= 15 {
                prop_assert_eq!(&text, &standard);
            }
            prop_assert_eq!(text.len(), standard.len(), "{} {}", text, standard);
            if value.is_finite() {
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
            }
        }
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
