//! Percent-encoding, such as `%41` for `A`, as used in variables and headers.

use std::fmt::Write;

/// Decodes `text`. Returns `None` for an incomplete escape, or if the decoded bytes are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    String::from_utf8(bytes(text, |_| None)?).ok()
}

/// Decodes `text`. Keeps a `%` that is not followed by two digits, and replaces invalid UTF-8 with U+FFFD.
pub(crate) fn decode_lossy(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let decoded = bytes(text, Some).unwrap_or_default();
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Returns the decoded bytes. `incomplete` replaces a `%` that does not start an escape; if it returns `None`, decoding
/// fails.
fn bytes(text: &str, incomplete: fn(u8) -> Option<u8>) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, tail)),
            (b'%', _) => None,
            _ => Some((*first, tail)),
        };
        let (byte, tail) = match escape {
            Some(escape) => escape,
            None => (incomplete(b'%')?, tail),
        };
        decoded.push(byte);
        rest = tail;
    }
    Some(decoded)
}

/// Parses a hexadecimal digit in either case, because both are valid in an escape.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Appends `text`, and escapes every byte for which `is_plain` returns false.
pub(crate) fn push(line: &mut String, text: &str, is_plain: fn(u8) -> bool) {
    line.reserve(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            line.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(line, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, strict: Option<&str>, lossy: &str) {
        assert_eq!(decode(text).as_deref(), strict, "{text}");
        assert_eq!(decode_lossy(text), lossy, "{text}");
    }

    #[test]
    fn escapes_are_decoded_in_either_case() {
        check("", Some(""), "");
        check("a b", Some("a b"), "a b");
        check("%41%6a%6A%2B", Some("Ajj+"), "Ajj+");
        check("gr%C3%B6%c3%9Fe", Some("größe"), "größe");
    }

    #[test]
    fn an_incomplete_escape_and_what_is_not_utf_8_is_refused_or_replaced() {
        for incomplete in ["%", "100%", "%4", "%4g", "%g4", "%%", "%+1", "a%zz"] {
            check(incomplete, None, incomplete);
        }
        check("%%41", None, "%A");
        check("a%FFb", None, "a\u{fffd}b");
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_what_is_encoded_can_be_decoded(text: String) {
            decode(&text);
            decode_lossy(&text);
            let mut line = String::new();
            push(&mut line, &text, |byte| byte.is_ascii_alphanumeric());
            prop_assert!(line.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%'));
            prop_assert_eq!(decode(&line), Some(text.clone()));
            prop_assert_eq!(decode_lossy(&line), text);
        }
    }
}
