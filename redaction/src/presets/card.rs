//! Payment cards: 12 to 19 digits with the prefix and the length of an issuer, and a correct check digit.

use std::ops::Range;

use super::digits;

const MAX_DIGITS: usize = 19;
/// Groups of digits in a card that is written with separators.
const MAX_GROUPS: usize = 5;
/// An identifier of hexadecimal digits, of at least this length, is no card even if a part of it looks like one.
const MIN_HEX_ID: usize = 24;

pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(start) = digits::next(bytes, at) {
        at = digits::end(bytes, start);
        if is_fraction(bytes, start) || is_in_hex_id(bytes, start, at) {
            continue;
        }
        if let Some(end) = end_of_card(bytes, start, at) {
            return Some(start..end);
        }
    }
    None
}

/// Returns the end of the card that begins with the digits from `start` to `end`.
fn end_of_card(text: &[u8], start: usize, end: usize) -> Option<usize> {
    let mut number = Number::default();
    if !number.push(&text[start..end]) {
        return None;
    }
    let mut found = number.is_card().then_some(end);
    if end - start != 4 {
        return found;
    }
    let separator = digits::separator(text, end)?;
    let mut end = end;
    for _ in 1..MAX_GROUPS {
        if digits::separator(text, end) != Some(separator) {
            break;
        }
        let group = end + separator.len();
        end = digits::end(text, group);
        if !(2..=6).contains(&(end - group)) || !number.push(&text[group..end]) {
            break;
        }
        if number.is_card() {
            found = Some(end);
        }
    }
    found
}

/// Returns true if the digits are those behind a decimal point.
fn is_fraction(text: &[u8], start: usize) -> bool {
    start >= 2 && text[start - 1] == b'.' && text[start - 2].is_ascii_digit()
}

/// Returns true if the digits are a part of a longer number in hexadecimal, such as the id of a trace.
fn is_in_hex_id(text: &[u8], start: usize, end: usize) -> bool {
    let has_letter = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_hexdigit);
    if !has_letter(start.checked_sub(1)) && !has_letter(Some(end)) {
        return false;
    }
    let is_word = |byte: &&u8| byte.is_ascii_alphanumeric();
    let before = text[..start].iter().rev().take(MIN_HEX_ID).take_while(is_word);
    let after = text[end..].iter().take(MIN_HEX_ID).take_while(is_word);
    let length = before.clone().count() + (end - start) + after.clone().count();
    length >= MIN_HEX_ID && before.chain(after).all(u8::is_ascii_hexdigit)
}

#[derive(Default)]
struct Number {
    digits: [u8; MAX_DIGITS],
    length: usize,
}

impl Number {
    /// Adds digits. Returns false if there are too many.
    fn push(&mut self, digits: &[u8]) -> bool {
        let Some(free) = self.digits.get_mut(self.length..self.length + digits.len()) else { return false };
        free.iter_mut().zip(digits).for_each(|(free, digit)| *free = digit - b'0');
        self.length += digits.len();
        true
    }

    fn is_card(&self) -> bool {
        self.is_of_an_issuer() && self.has_check_digit()
    }

    /// Returns true if an issuer of cards uses the prefix with this length.
    fn is_of_an_issuer(&self) -> bool {
        let prefix = self.digits.iter().take(4).fold(0, |number, digit| number * 10 + u16::from(*digit));
        match (prefix, self.length) {
            // Maestro has cards of every length.
            (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 12..=19) => true,
            (4000..=4999, 13 | 16 | 19) => true,
            (3400..=3499 | 3700..=3799, 15) => true,
            (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14..=19) => true,
            (3528..=3589 | 6000..=6999 | 2200..=2204 | 8100..=8171, 16..=19) => true,
            (2221..=2720 | 5000..=5999 | 8172..=8299, 16) => true,
            _ => false,
        }
    }

    /// Checks the last digit with Luhn's algorithm.
    fn has_check_digit(&self) -> bool {
        let from_the_right = self.digits[..self.length].iter().rev().enumerate();
        let sum: u32 = from_the_right
            .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
                (0, digit) => digit,
                (_, digit) if digit > 4 => 2 * digit - 9,
                (_, digit) => 2 * digit,
            })
            .sum();
        sum % 10 == 0
    }
}
