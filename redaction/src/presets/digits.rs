//! Groups of digits and what separates them.

/// Returns the start of the next digit at or after `from`.
pub(super) fn next(text: &[u8], from: usize) -> Option<usize> {
    Some(from + text.get(from..)?.iter().position(u8::is_ascii_digit)?)
}

/// Returns the end of the digits that start at `from`.
pub(super) fn end(text: &[u8], from: usize) -> usize {
    let digits = text.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit());
    from + digits.count()
}

/// What may stand between two groups of a number: a space or a hyphen, and the forms of a space in a query and in HTML.
const SEPARATORS: [&[u8]; 5] = [b" ", b"-", b"+", b"%20", "\u{a0}".as_bytes()];

/// Returns the separator at this place.
pub(super) fn separator(text: &[u8], at: usize) -> Option<&'static [u8]> {
    let rest = text.get(at..)?;
    SEPARATORS.into_iter().find(|separator| rest.starts_with(separator))
}
