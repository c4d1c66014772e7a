//! The text of a statement without its literals and comments.

use super::dialect::Dialect;
use super::keywords::Keyword;
use super::lexer::{Kind, Token, is_plain_name};
use super::places::{Places, Role};

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
    /// Names in the lists of `SELECT`s whose `FROM` has not come yet, the innermost list last.
    selected: Vec<Selected>,
}

/// A name in the list of a `SELECT`: its level, and its place in the clean text.
struct Selected {
    level: usize,
    place: std::ops::Range<usize>,
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
        Sanitizer {
            text,
            dialect,
            clean: String::new(),
            copied: 0,
            list: List::None,
            is_after_in: false,
            places: Places::default(),
            selected: Vec::new(),
        }
    }

    /// Takes a word.
    #[inline]
    pub(super) fn word(&mut self, token: &Token, keyword: Keyword) {
        self.is_after_in = keyword == Keyword::In;
        if self.dialect == Dialect::Sqlite {
            let role = self.places.word(token, keyword);
            self.decide(role);
        }
        match keyword {
            Keyword::Boolean => self.replace(token),
            _ => self.list = List::None,
        }
    }

    /// Takes a symbol.
    #[inline]
    pub(super) fn symbol(&mut self, token: &Token, symbol: u8) {
        let is_after_in = std::mem::replace(&mut self.is_after_in, false);
        if self.dialect == Dialect::Sqlite {
            let role = self.places.symbol(symbol);
            self.decide(role);
        }
        match symbol {
            b'(' if is_after_in => {
                self.copy_up_to(token.end);
                self.list = List::Values(self.clean.len());
            }
            b')' => self.close(token),
            b',' => {}
            _ => self.list = List::None,
        }
    }

    /// Takes a quoted name, a literal or a placeholder.
    #[inline]
    pub(super) fn operand(&mut self, token: &Token) {
        self.is_after_in = false;
        // SQLite reads a quoted name as a string if there is no such column.
        let role = match self.dialect {
            Dialect::Sqlite => self.places.operand(),
            _ => Role::Name,
        };
        match token.kind {
            Kind::Literal => self.replace(token),
            Kind::Placeholder => {}
            _ if role == Role::Name || !self.may_be_string(token) => self.list = List::None,
            _ if role == Role::Value || !self.is_plain(token) => self.replace(token),
            _ => {
                if role == Role::Selected {
                    self.select(token);
                }
                self.list = List::None;
            }
        }
    }

    /// Returns the clean text; `None` if it equals the original.
    pub(super) fn finish(mut self) -> Option<String> {
        if self.copied == 0 {
            return None;
        }
        self.copy_up_to(self.text.len());
        self.replace_selected(0);
        Some(self.clean)
    }

    fn copy_up_to(&mut self, end: usize) {
        if self.copied == 0 {
            self.clean = String::with_capacity(self.text.len());
        }
        self.clean.push_str(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    fn replace(&mut self, token: &Token) {
        self.copy_up_to(token.start);
        self.clean.push('?');
        self.copied = token.end;
    }

    /// Takes a comment and leaves it out. Leaves a space if the tokens around it would otherwise become one.
    pub(super) fn remove(&mut self, token: &Token) {
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

    fn is_plain(&self, token: &Token) -> bool {
        is_plain_name(self.text.as_bytes().get(token.start + 1..token.end - 1).unwrap_or_default())
    }

    /// Decides on the names of a list that has ended.
    fn decide(&mut self, role: Role) {
        match role {
            Role::From(level) => self.selected.retain(|selected| selected.level < level),
            Role::End(level) => self.replace_selected(level),
            _ => {}
        }
    }

    /// Remembers a name until the `FROM` of its `SELECT` comes.
    fn select(&mut self, token: &Token) {
        self.copy_up_to(token.start);
        let start = self.clean.len();
        self.copy_up_to(token.end);
        self.selected.push(Selected { level: self.places.depth(), place: start..self.clean.len() });
    }

    /// Replaces the names of `SELECT`s without `FROM`: no column can have them.
    fn replace_selected(&mut self, level: usize) {
        while self.selected.last().is_some_and(|selected| selected.level >= level) {
            if let Some(selected) = self.selected.pop() {
                self.clean.replace_range(selected.place, "?");
            }
        }
    }
}
