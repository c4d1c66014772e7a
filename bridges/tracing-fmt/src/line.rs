//! A line that is being built, with escaping and a length limit.

use std::fmt;

use telemark_sdk::error::catch;
use telemark_sdk::text::is_harmful;

/// The number of bytes reserved for the closing quote, the braces, the truncation mark and the newline.
const RESERVED: usize = 48;

/// A line that never grows far beyond its limit.
#[derive(Debug, Default)]
pub(crate) struct Line {
    bytes: Vec<u8>,
    limit: usize,
    is_cut: bool,
    /// The keys already in the line, as ranges of `bytes`.
    keys: Vec<(usize, usize)>,
}

/// How text is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Escapes text for a JSON string.
    Json,
    /// Like `Json`, but leaves quotes and backslashes unchanged.
    Text,
}

impl Line {
    /// Begins a new line of at most `max` bytes, including its newline.
    pub(crate) fn begin(&mut self, max: usize) {
        self.bytes.clear();
        self.keys.clear();
        self.limit = max.saturating_sub(RESERVED);
        self.is_cut = false;
    }

    /// Reserves `bytes` of the room for later, or releases them if the number is negative.
    pub(crate) fn reserve(&mut self, bytes: isize) {
        self.limit = self.limit.saturating_add_signed(-bytes);
    }

    /// Frees memory beyond `max` bytes, so that it is not retained after a single long line.
    pub(crate) fn shrink(&mut self, max: usize) {
        if self.bytes.capacity() > max {
            self.bytes = Vec::new();
        }
        if self.keys.capacity() > 256 {
            self.keys = Vec::new();
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns true if the line has been truncated or is incomplete.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Marks the line as truncated or incomplete.
    pub(crate) fn set_cut(&mut self) {
        self.is_cut = true;
    }

    /// Returns true if the line exceeds the limit by more than `extra` bytes.
    #[inline]
    pub(crate) fn is_beyond(&self, extra: usize) -> bool {
        self.bytes.len() > self.limit.saturating_add(extra)
    }

    /// Appends text unchanged, regardless of the limit. Used for the syntax between values.
    #[inline]
    pub(crate) fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Appends digits unchanged.
    #[inline]
    pub(crate) fn raw_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends `bytes` as lowercase hexadecimal digits.
    #[inline]
    pub(crate) fn hex<const N: usize>(&mut self, bytes: [u8; N]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in bytes {
            self.bytes.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
        }
    }

    pub(crate) fn take_back(&mut self, start: usize) {
        self.bytes.truncate(start);
        while self.keys.last().is_some_and(|&(_, end)| end > start) {
            self.keys.pop();
        }
    }

    /// Records that the bytes starting at `start` are a key. Returns false if the line already has the same key.
    #[inline]
    pub(crate) fn is_new_key(&mut self, start: usize) -> bool {
        let end = self.bytes.len();
        let key = &self.bytes[start..end];
        if self.keys.iter().any(|&(from, to)| to - from == key.len() && &self.bytes[from..to] == key) {
            return false;
        }
        self.keys.push((start, end));
        true
    }

    /// Appends escaped text. If it exceeds the limit, truncates it and returns false.
    #[inline]
    pub(crate) fn text(&mut self, text: &str, escape: Escape) -> bool {
        let bytes = text.as_bytes();
        let (mut run, mut at) = (0, 0);
        while let Some(&byte) = bytes.get(at) {
            if IS_PLAIN[usize::from(byte)] || (escape == Escape::Text && matches!(byte, b'"' | b'\\')) {
                at += 1;
                continue;
            }
            let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else { break };
            let next = at + character.len_utf8();
            if byte < 0x80 || is_harmful(character) {
                if !self.run(&text[run..at]) || !self.escaped(character) {
                    return false;
                }
                run = next;
            }
            at = next;
        }
        self.run(&text[run..])
    }

    /// Appends the escaped output of `write`. If `write` panics, its entire output is replaced by `<panicked>`.
    pub(crate) fn written(&mut self, escape: Escape, write: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
        let start = self.bytes.len();
        // An error from `write` means either that the line is full or that a foreign `Display` failed. The text written
        // before the error is kept.
        if catch(|| write(&mut Escaped { line: self, escape, is_full: false })).is_err() {
            self.take_back(start);
            self.raw("<panicked>");
        }
    }

    /// Appends as much plain text as fits. Returns false if some of it did not fit.
    #[inline]
    fn run(&mut self, text: &str) -> bool {
        let room = self.limit.saturating_sub(self.bytes.len());
        if text.len() <= room {
            self.bytes.extend_from_slice(text.as_bytes());
            return true;
        }
        let mut end = room;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes.extend_from_slice(&text.as_bytes()[..end]);
        self.is_cut = true;
        false
    }

    /// Appends a character's escape sequence. Returns false if it does not fit.
    fn escaped(&mut self, character: char) -> bool {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let short = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            _ => "",
        };
        if !short.is_empty() {
            return self.run_whole(short);
        }
        let mut units = [0; 2];
        let mut escape = [0; 12];
        let mut length = 0;
        for unit in character.encode_utf16(&mut units) {
            let digit = |shift: u16| DIGITS[usize::from(*unit >> shift & 0xf)];
            escape[length..length + 6].copy_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            length += 6;
        }
        std::str::from_utf8(&escape[..length]).is_ok_and(|escape| self.run_whole(escape))
    }

    /// Appends an escape sequence, which must not be split.
    fn run_whole(&mut self, text: &str) -> bool {
        let fits = text.len() <= self.limit.saturating_sub(self.bytes.len());
        if fits {
            self.bytes.extend_from_slice(text.as_bytes());
        } else {
            self.is_cut = true;
        }
        fits
    }
}

/// True for bytes of characters that are never escaped.
const IS_PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

/// Escapes the text formatted into it. Fails once the line is full, so that the rest is not formatted.
#[derive(Debug)]
pub(crate) struct Escaped<'a> {
    line: &'a mut Line,
    escape: Escape,
    is_full: bool,
}

impl fmt::Write for Escaped<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Some implementations of `Display` ignore errors and continue writing.
        self.is_full = self.is_full || !self.line.text(text, self.escape);
        if self.is_full { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(max: usize, text: &str, escape: Escape) -> (String, bool) {
        let mut line = Line::default();
        line.begin(max + RESERVED);
        line.text(text, escape);
        (String::from_utf8(line.bytes.clone()).unwrap(), line.is_cut)
    }

    #[test]
    fn what_could_break_a_line_or_a_terminal_is_escaped() {
        let check = |text, json: &str, plain: &str| {
            assert_eq!(line(100, text, Escape::Json), (json.to_owned(), false), "{text:?}");
            assert_eq!(line(100, text, Escape::Text), (plain.to_owned(), false), "{text:?}");
        };
        check("plain grün 日本", "plain grün 日本", "plain grün 日本");
        check("a\"b\\c", "a\\\"b\\\\c", "a\"b\\c");
        check("1\r\n2\t\0\x1b[31m\x7f", "1\\r\\n2\\t\\u0000\\u001b[31m\\u007f", "1\\r\\n2\\t\\u0000\\u001b[31m\\u007f");
        check(
            "\u{85}\u{2028}\u{202e}\u{e0001}",
            "\\u0085\\u2028\\u202e\\udb40\\udc01",
            "\\u0085\\u2028\\u202e\\udb40\\udc01",
        );
    }

    #[test]
    fn text_is_cut_at_a_character_and_never_within_an_escape() {
        let check = |max, text, expected: &str| {
            assert_eq!(line(max, text, Escape::Json), (expected.to_owned(), true), "{text:?} at {max}");
        };
        check(3, "abcd", "abc");
        check(3, "ab\u{20ac}", "ab");
        check(3, "ab\n\n", "ab");
        check(7, "\u{1}\u{2}", "\\u0001");
        check(0, "a", "");
    }
}
