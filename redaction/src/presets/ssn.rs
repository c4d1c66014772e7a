//! Social security numbers of the United States: three, two and four digits with the same separator in between.

use std::ops::Range;

use super::digits;

pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(start) = digits::next(bytes, at) {
        at = digits::end(bytes, start);
        if let Some(end) = end_of_number(bytes, start, at) {
            return Some(start..end);
        }
    }
    None
}

/// Returns the end of the number that begins with the digits from `start` to `end`.
fn end_of_number(text: &[u8], start: usize, end: usize) -> Option<usize> {
    let separator = digits::separator(text, end)?;
    let group = |from: usize, length: usize| {
        let end = digits::end(text, from);
        (end - from == length).then_some(end)
    };
    let area_end = group(start, 3)?;
    let middle = area_end + separator.len();
    let middle_end = group(middle, 2)?;
    if digits::separator(text, middle_end) != Some(separator) {
        return None;
    }
    let serial = middle_end + separator.len();
    let serial_end = group(serial, 4)?;
    let is_issued = !matches!(&text[start..area_end], b"000" | b"666" | [b'9', ..])
        && &text[middle..middle_end] != b"00"
        && &text[serial..serial_end] != b"0000";
    is_issued.then_some(serial_end)
}
