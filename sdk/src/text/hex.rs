//! Hexadecimal text, as used for ids and flags in headers: lower case and of fixed length, except in older formats.

use opentelemetry::trace::{SpanId, TraceId};

/// Parses `N` bytes from exactly `2 * N` lowercase digits.
#[inline]
pub(crate) fn parse<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let (mut words, mut eights) = (bytes.chunks_exact_mut(4), digits.chunks_exact(8));
    for (word, eight) in (&mut words).zip(&mut eights) {
        word.copy_from_slice(&parse_eight(eight.try_into().ok()?)?.to_be_bytes());
    }
    for (byte, pair) in words.into_remainder().iter_mut().zip(eights.remainder().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Parses eight digits at a time, each in one byte of an integer. This is worth optimizing because every request has
/// ids to parse.
#[inline]
fn parse_eight(digits: [u8; 8]) -> Option<u32> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let digits = u64::from_be_bytes(digits);
    let letters = digits >> 6 & EACH;
    let values = (digits & (0x0f * EACH)) + 9 * letters;
    // Only valid digits remain the same when converted back to text. No byte of a sum overflows into its neighbour.
    let above_nine = (values + 6 * EACH) >> 4 & EACH;
    let written = values + u64::from(b'0') * EACH + u64::from(b'a' - b'0' - 10) * above_nine;
    if written != digits || values & (0xf0 * EACH) != 0 {
        return None;
    }
    let bytes = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    u32::try_from((pairs | pairs >> 16) & 0xffff_ffff).ok()
}

/// Parses a trace id and rejects all zeros.
pub(crate) fn parse_trace_id(digits: &[u8]) -> Option<TraceId> {
    Some(TraceId::from_bytes(parse(digits)?)).filter(|&id| id != TraceId::INVALID)
}

/// Parses a span id and rejects all zeros.
pub(crate) fn parse_span_id(digits: &[u8]) -> Option<SpanId> {
    Some(SpanId::from_bytes(parse(digits)?)).filter(|&id| id != SpanId::INVALID)
}

/// Parses from one digit to `max` digits in either case, as older formats send ids.
pub(crate) fn parse_padded(digits: &str, max: usize) -> Option<u128> {
    let are_digits = (1..=max).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    // The conversion alone would accept a sign.
    are_digits.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

/// Appends `bytes` as hexadecimal digits.
pub(crate) fn push(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_lower_case_digits_of_the_exact_number() {
        assert_eq!(parse::<2>(b"00ff"), Some([0, 255]));
        for wrong in ["00fF", "00f", "00fff", "00g0", "+0ff", "", " 0ff"] {
            assert_eq!(parse::<2>(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(parse_span_id(b"0000000000000000"), None);
        assert_eq!(parse_trace_id(b"00000000000000000000000000000000"), None);
    }

    #[test]
    fn older_formats_have_shorter_ids_in_either_case() {
        assert_eq!(parse_padded("fF", 16), Some(255));
        assert_eq!(parse_padded("0", 16), Some(0));
        assert_eq!(parse_padded(&"f".repeat(32), 32), Some(u128::MAX));
        for wrong in ["", "+1", "g", " 1", "123"] {
            assert_eq!(parse_padded(wrong, 2), None, "{wrong:?}");
        }
    }

    /// Tests every byte value at each of the eight positions.
    #[test]
    fn eight_digits_at_once_are_the_same_digits() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut digits = *b"09afc37d";
                digits[place] = byte;
                let one_by_one = digits.iter().try_fold(0, |value, &byte| Some(value << 4 | u32::from(digit(byte)?)));
                assert_eq!(parse_eight(digits), one_by_one, "{byte:#x} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(bytes: [u8; 16]) {
            let mut text = String::new();
            push(&mut text, &bytes);
            prop_assert_eq!(parse::<16>(text.as_bytes()), Some(bytes));
        }
    }
}
