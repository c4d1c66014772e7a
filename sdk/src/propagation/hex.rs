//! Lower-case hexadecimal of fixed length, the way ids and flags are written in headers.

use opentelemetry::trace::{SpanId, TraceId};

/// `N` bytes from exactly `2 * N` lower-case digits.
pub(super) fn parse<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen & NO_DIGIT == 0).then_some(bytes)
}

/// A trace id that is not all zeros.
pub(super) fn parse_trace_id(digits: &[u8]) -> Option<TraceId> {
    Some(TraceId::from_bytes(parse(digits)?)).filter(|&id| id != TraceId::INVALID)
}

/// A span id that is not all zeros.
pub(super) fn parse_span_id(digits: &[u8]) -> Option<SpanId> {
    Some(SpanId::from_bytes(parse(digits)?)).filter(|&id| id != SpanId::INVALID)
}

/// Appends `bytes` as digits.
pub(super) fn push(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of each byte that is a digit, and [`NO_DIGIT`] for all others.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// A bit that no digit has, so that one look at all values of a text together finds it.
const NO_DIGIT: u8 = 0x80;

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

    proptest! {
        #[test]
        fn what_is_written_can_be_read(bytes: [u8; 16]) {
            let mut text = String::new();
            push(&mut text, &bytes);
            prop_assert_eq!(parse::<16>(text.as_bytes()), Some(bytes));
        }
    }
}
