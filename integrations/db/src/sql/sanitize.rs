//! The text of a statement without its literals and comments.

use super::dialect::Dialect;
use super::keywords::Keyword;
use super::lexer::{Kind, Token};

/// Copies a statement, with `?` for each literal and without comments.
pub(super) struct Sanitizer<'a> {
    text: &'a str,
    dialect: Dialect,
    clean: String,
    /// The part of the text before this position has been copied or replaced.
    copied: usize,
    list: List,
    /// The symbol or the keyword of the previous token.
    previous: Previous,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Previous {
    Other,
    In,
    Comparison,
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
        let (clean, list, previous) = (String::new(), List::None, Previous::Other);
        Sanitizer { text, dialect, clean, copied: 0, list, previous }
    }

    #[inline]
    pub(super) fn take(&mut self, token: &Token, keyword: Keyword) {
        let before = std::mem::replace(&mut self.previous, Previous::Other);
        match token.kind {
            Kind::Comment => {
                self.previous = before;
                return self.remove(token);
            }
            Kind::Literal => return self.replace(token),
            Kind::Word if keyword == Keyword::Boolean => return self.replace(token),
            Kind::Word if keyword == Keyword::In => self.previous = Previous::In,
            Kind::Quoted if self.may_be_string(token, before) => return self.replace(token),
            Kind::Symbol(b'(') if before == Previous::In => {
                self.copy_up_to(token.end);
                self.list = List::Values(self.clean.len());
                return;
            }
            Kind::Symbol(b')') => return self.close(token),
            Kind::Symbol(b',') | Kind::Placeholder => return,
            Kind::Symbol(b'=' | b'<' | b'>') => self.previous = Previous::Comparison,
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

    /// SQLite reads a quoted name as a string if there is no such column.
    fn may_be_string(&self, token: &Token, before: Previous) -> bool {
        let bytes = self.text.as_bytes();
        let is_compared = before == Previous::Comparison || self.list != List::None;
        // A digit behind the dot makes it a number.
        let has_part = bytes.get(token.end) == Some(&b'.') && !bytes.get(token.end + 1).is_some_and(u8::is_ascii_digit);
        self.dialect == Dialect::Sqlite && bytes.get(token.start) == Some(&b'"') && is_compared && !has_part
    }
}
