//! Parses `Content-Length` and other numbers in headers.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderValue};

/// Returns the length declared by the `Content-Length` lines, or `None` if there are no lines or they are invalid.
///
/// Several lines, or a list in one line, are valid if all numbers are equal.
///
/// spec: RFC 9110 section 8.6
pub(crate) fn declared(headers: &HeaderMap) -> Option<u64> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let first = in_line(lines.next()?)?;
    lines.all(|line| in_line(line) == Some(first)).then_some(first)
}

/// Returns the length declared by a single line.
pub(crate) fn in_line(line: &HeaderValue) -> Option<u64> {
    let mut numbers = line.as_bytes().split(|byte| *byte == b',').map(|item| number(without_spaces(item)));
    let first = numbers.next()??;
    numbers.all(|number| number == Some(first)).then_some(first)
}

/// Parses digits only; the parsers of `std` also accept a sign.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn without_spaces(mut item: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = item {
        item = rest;
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        fn check(lines: &[&str], expected: Option<u64>) {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_LENGTH, line.parse().unwrap());
            }
            assert_eq!(declared(&headers), expected, "{lines:?}");
        }
        check(&[], None);
        check(&["0"], Some(0));
        check(&["\t12 "], Some(12));
        check(&["007"], Some(7));
        check(&["18446744073709551615"], Some(u64::MAX));
        check(&["18446744073709551616"], None);
        for invalid in ["", " ", "+5", "-1", "5x", "5 5", "0x5", "5.0", "5,", ",5", "5,6", "five"] {
            check(&[invalid], None);
        }
        check(&["5, 5 ,5"], Some(5));
        check(&["5", "5"], Some(5));
        check(&["5", "6"], None);
        check(&["5", ""], None);
    }
}
