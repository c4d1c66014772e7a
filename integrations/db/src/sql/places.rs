//! The places of a statement where SQLite may read `"…"` as a string.
//!
//! SQLite takes such a name for a string if there is no such column, which a client cannot see. A name in the place of a value is
//! therefore removed. In the place of a column it stays if it looks like the name of a column, because libraries quote every
//! name, and if the statement has a table to which the column may belong.

use super::keywords::Keyword;
use super::lexer::{Token, tail};

/// The effect of a token on names in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// In this place, quotes hold the name of a table, an alias or a part of a name.
    Name,
    /// In this place, quotes hold the name of a column or, less often, a string.
    Column,
    /// As [`Role::Column`], in the list of a `SELECT`. Only a `FROM` at the same level makes columns of it.
    Selected,
    /// In this place, quotes hold a string.
    Value,
    /// The list of the `SELECT` at this level ends with a `FROM`.
    From(usize),
    /// The list of the `SELECT` at this level ends without a `FROM`.
    End(usize),
}

/// Follows a statement of SQLite, token by token.
#[derive(Default)]
pub(super) struct Places {
    previous: Previous,
    /// A bit for each open parenthesis, the innermost lowest: set within the arguments of a function and within lists of values.
    values: u64,
    /// A bit for each open parenthesis, in the same order: set within the list of a `SELECT`.
    lists: u64,
    /// A bit for each open parenthesis, in the same order: set where names of tables stand.
    tables: u64,
    depth: usize,
    /// The depth at which rows of a `VALUES` follow each other.
    rows: Option<usize>,
    /// True if a parenthesis behind a word holds the names of columns, as in `INSERT INTO t (…)`.
    expects_names: bool,
    is_between: bool,
    /// True within `CASE x WHEN`, where values follow `WHEN`.
    is_simple_case: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Previous {
    #[default]
    Other,
    /// A value follows.
    Operator,
    Dot,
    /// An alias follows.
    As,
    /// A word that may name a function.
    Callee,
    Case,
}

impl Places {
    /// Takes a word.
    pub(super) fn word(&mut self, token: &Token, keyword: Keyword) -> Role {
        let before = std::mem::take(&mut self.previous);
        let role = self.follow_list(keyword, before);
        // The tail of a longer word may look like another one.
        let word = if token.end - token.start <= 8 { token.tail } else { 0 };
        self.previous = self.after_word(word, keyword, before);
        role
    }

    /// Takes a symbol.
    pub(super) fn symbol(&mut self, symbol: u8) -> Role {
        let before = std::mem::take(&mut self.previous);
        let role = match symbol {
            b')' => self.end_list(),
            b';' => Role::End(0),
            _ => Role::Name,
        };
        self.previous = self.after_symbol(symbol, before);
        role
    }

    /// Takes a quoted name, a literal or a placeholder.
    pub(super) fn operand(&mut self) -> Role {
        match std::mem::take(&mut self.previous) {
            Previous::Operator => Role::Value,
            Previous::Dot => Role::Name,
            _ if self.is_in_values() => Role::Value,
            Previous::As => Role::Name,
            _ if self.tables & 1 == 1 || self.expects_names => Role::Name,
            _ if self.lists & 1 == 1 => Role::Selected,
            _ => Role::Column,
        }
    }

    /// Follows the list of a `SELECT` and the tables behind it.
    fn follow_list(&mut self, keyword: Keyword, before: Previous) -> Role {
        match keyword {
            // `IS DISTINCT FROM` is an operator.
            Keyword::From if before == Previous::Operator => {}
            Keyword::From | Keyword::Join | Keyword::Update => {
                self.tables |= 1;
                if keyword == Keyword::From && self.lists & 1 == 1 {
                    self.lists &= !1;
                    return Role::From(self.depth);
                }
            }
            Keyword::Select => (self.lists, self.tables) = (self.lists | 1, self.tables & !1),
            Keyword::Set | Keyword::Values => self.tables &= !1,
            Keyword::End | Keyword::On | Keyword::SetOperation => {
                self.tables &= !1;
                return self.end_list();
            }
            _ => {}
        }
        Role::Name
    }

    fn end_list(&mut self) -> Role {
        let is_open = self.lists & 1 == 1;
        self.lists &= !1;
        if is_open { Role::End(self.depth) } else { Role::Name }
    }

    /// Returns the number of open parentheses.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    fn is_in_values(&self) -> bool {
        self.values & 1 == 1
    }

    fn after_symbol(&mut self, symbol: u8, before: Previous) -> Previous {
        match symbol {
            b'=' | b'<' | b'>' | b'|' => return Previous::Operator,
            b'-' | b'+' | b'~' if before == Previous::Operator => return before,
            b',' if self.rows == Some(self.depth) => return Previous::Operator,
            b'.' => return Previous::Dot,
            b'(' => {
                let has_values = match before {
                    Previous::Operator => true,
                    Previous::Callee => !self.expects_names,
                    _ => self.is_in_values(),
                };
                self.values = self.values << 1 | u64::from(has_values);
                self.lists <<= 1;
                self.tables = self.tables << 1 | (self.tables & u64::from(!has_values) & 1);
                self.depth += 1;
            }
            b')' => {
                self.values >>= 1;
                self.lists >>= 1;
                self.tables >>= 1;
                self.depth = self.depth.saturating_sub(1);
                self.rows = self.rows.filter(|rows| *rows <= self.depth);
            }
            b';' => *self = Places::default(),
            _ => {}
        }
        Previous::Other
    }

    fn after_word(&mut self, word: u64, keyword: Keyword, before: Previous) -> Previous {
        const AND: u64 = tail("AND");
        const AS: u64 = tail("AS");
        const ATTACH: u64 = tail("ATTACH");
        const BETWEEN: u64 = tail("BETWEEN");
        const BY: u64 = tail("BY");
        const CASE: u64 = tail("CASE");
        const CHECK: u64 = tail("CHECK");
        const CONFLICT: u64 = tail("CONFLICT");
        const DATABASE: u64 = tail("DATABASE");
        const DEFAULT: u64 = tail("DEFAULT");
        const ELSE: u64 = tail("ELSE");
        const ESCAPE: u64 = tail("ESCAPE");
        const FILTER: u64 = tail("FILTER");
        const GLOB: u64 = tail("GLOB");
        const INTO: u64 = tail("INTO");
        const IS: u64 = tail("IS");
        const KEY: u64 = tail("KEY");
        const LIKE: u64 = tail("LIKE");
        const MATCH: u64 = tail("MATCH");
        const NOT: u64 = tail("NOT");
        const OVER: u64 = tail("OVER");
        const REGEXP: u64 = tail("REGEXP");
        const THEN: u64 = tail("THEN");
        const UNIQUE: u64 = tail("UNIQUE");
        const WHEN: u64 = tail("WHEN");
        self.begin_clause(keyword);
        match word {
            LIKE | GLOB | MATCH | REGEXP | ESCAPE | IS | THEN | ELSE | DEFAULT | ATTACH | DATABASE => {
                Previous::Operator
            }
            // Without names, this is the key of an encrypted database.
            KEY if !self.expects_names => Previous::Operator,
            BETWEEN => {
                self.is_between = true;
                Previous::Operator
            }
            AND if std::mem::take(&mut self.is_between) => Previous::Operator,
            CASE => {
                self.is_simple_case = true;
                Previous::Case
            }
            WHEN => {
                self.is_simple_case &= before != Previous::Case;
                if self.is_simple_case { Previous::Operator } else { Previous::Other }
            }
            INTO => {
                self.expects_names = true;
                Previous::Other
            }
            NOT if before == Previous::Operator => before,
            AS => Previous::As,
            AND | BY | CHECK | CONFLICT | FILTER | KEY | NOT | OVER | UNIQUE => Previous::Other,
            _ => match keyword {
                Keyword::In | Keyword::Values => Previous::Operator,
                Keyword::Distinct | Keyword::From if before == Previous::Operator => before,
                Keyword::None | Keyword::Object | Keyword::Modifier | Keyword::Replace => Previous::Callee,
                _ => Previous::Other,
            },
        }
    }

    fn begin_clause(&mut self, keyword: Keyword) {
        match keyword {
            Keyword::Define | Keyword::With => self.expects_names = true,
            Keyword::Values => (self.expects_names, self.rows) = (false, Some(self.depth)),
            Keyword::Select | Keyword::Set | Keyword::End | Keyword::SetOperation | Keyword::On => {
                self.rows = self.rows.filter(|rows| *rows < self.depth);
                self.expects_names = false;
            }
            _ => {}
        }
        if keyword == Keyword::Select {
            // The parenthesis holds a query, and no list.
            self.values &= !1;
        }
    }
}
