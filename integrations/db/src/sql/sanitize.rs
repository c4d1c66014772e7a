//! The text of a statement without its literals and comments.

use super::dialect::Dialect;
use super::keywords::Keyword;
use super::lexer::{Kind, Token};
use super::places::Places;

/// Copies a statement, with `?` for each literal and without comments.
pub(super) struct Sanitizer<'a> {
    text: &'a str,
    dialect: Dialect,
    clean: String,
    /// The part of the text before this position has been copied or replaced.
    copied: usize,
    list: List,
    /// True behind the keyword `IN`.
    is_after_in: bool,
    places: Places,
}

/// The list of an `IN`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    None,
    /// Only values so far, which start here in the clean text, behind the parenthesis.
    Values(usize),
}

impl<'a> Sanitizer<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        let (clean, places) = (String::new(), Places::default());
        Sanitizer { text, dialect, clean, copied: 0, list: List::None, is_after_in: false, places }
    }

    #[inline]
    pub(super) fn take(&mut self, token: &Token, keyword: Keyword) {
        if token.kind == Kind::Comment {
            return self.remove(token);
        }
        let is_after_in = std::mem::replace(&mut self.is_after_in, false);
        // SQLite reads a quoted name as a string if there is no such column.
        let is_value = self.dialect == Dialect::Sqlite && self.places.take(token, keyword);
        match token.kind {
            Kind::Literal => return self.replace(token),
            Kind::Word if keyword == Keyword::Boolean => return self.replace(token),
            Kind::Word if keyword == Keyword::In => self.is_after_in = true,
            Kind::Quoted if is_value && self.may_be_string(token) => return self.replace(token),
            Kind::Symbol(b'(') if is_after_in => {
                self.copy_up_to(token.end);
                self.list = List::Values(self.clean.len());
                return;
            }
            Kind::Symbol(b')') => return self.close(token),
            Kind::Symbol(b',') | Kind::Placeholder => return,
            _ => {}
        }
        self.list = List::None;
    }

    /// Returns the clean text; `None` if it equals the original.
    pub(super) fn finish(mut self) -> Option<String> {
        if self.copied == 0 {
            return None;
        }
        self.copy_up_to(self.text.len());
        Some(self.clean)
    }

    fn copy_up_to(&mut self, end: usize) {
        if self.copied == 0 {
            self.clean.reserve(self.text.len());
        }
        self.clean.push_str(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    fn replace(&mut self, token: &Token) {
        self.copy_up_to(token.start);
        self.clean.push('?');
        self.copied = token.end;
    }

    /// Removes a comment. Leaves a space if the tokens around it would otherwise become one.
    fn remove(&mut self, token: &Token) {
        self.copy_up_to(token.start);
        self.copied = token.end;
        let is_space = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_whitespace);
        if !is_space(self.clean.as_bytes().last()) && !is_space(self.text.as_bytes().get(token.end)) {
            self.clean.push(' ');
        }
    }

    /// Shortens a list of values: its length varies from call to call.
    fn close(&mut self, token: &Token) {
        if let List::Values(start) = self.list {
            self.copy_up_to(token.start);
            let values = self.clean.get(start..).unwrap_or_default();
            if !values.trim().is_empty() {
                self.clean.truncate(start);
                self.clean.push('?');
            }
        }
        self.list = List::None;
    }

    /// Returns true for `"…"`, unless it stands before a dot.
    fn may_be_string(&self, token: &Token) -> bool {
        let bytes = self.text.as_bytes();
        // A digit behind the dot makes it a number.
        let has_part = bytes.get(token.end) == Some(&b'.') && !bytes.get(token.end + 1).is_some_and(u8::is_ascii_digit);
        bytes.get(token.start) == Some(&b'"') && !has_part
    }
}
