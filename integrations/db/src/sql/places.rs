//! The places of a statement where SQLite may read `"…"` as a string.
//!
//! SQLite takes such a name for a string if there is no such column, which a client cannot see. A name in the place of a value is
//! therefore removed; elsewhere it stays, because libraries quote every name.

use super::keywords::Keyword;
use super::lexer::{Kind, Token, packed};

/// Follows a statement of SQLite, token by token.
#[derive(Default)]
pub(super) struct Places {
    previous: Previous,
    /// A bit for each open parenthesis, the innermost lowest: set within the arguments of a function and within lists of values.
    values: u64,
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
    /// A word that may name a function.
    Callee,
    Case,
}

impl Places {
    /// Takes the next token, which is no comment. Returns true if a quoted name in its place may be a string.
    pub(super) fn take(&mut self, token: &Token, keyword: Keyword) -> bool {
        let before = std::mem::take(&mut self.previous);
        let is_value = before == Previous::Operator || (self.is_in_values() && before != Previous::Dot);
        match token.kind {
            Kind::Word => self.previous = self.word(token.packed, keyword, before),
            Kind::Symbol(symbol) => self.previous = self.symbol(symbol, before),
            _ => {}
        }
        is_value
    }

    fn is_in_values(&self) -> bool {
        self.values & 1 == 1
    }

    fn symbol(&mut self, symbol: u8, before: Previous) -> Previous {
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
                self.depth += 1;
            }
            b')' => {
                self.values >>= 1;
                self.depth = self.depth.saturating_sub(1);
                self.rows = self.rows.filter(|rows| *rows <= self.depth);
            }
            b';' => *self = Places::default(),
            _ => {}
        }
        Previous::Other
    }

    fn word(&mut self, word: u64, keyword: Keyword, before: Previous) -> Previous {
        const AND: u64 = packed("AND");
        const AS: u64 = packed("AS");
        const ATTACH: u64 = packed("ATTACH");
        const BETWEEN: u64 = packed("BETWEEN");
        const BY: u64 = packed("BY");
        const CASE: u64 = packed("CASE");
        const CHECK: u64 = packed("CHECK");
        const CONFLICT: u64 = packed("CONFLICT");
        const DATABASE: u64 = packed("DATABASE");
        const DEFAULT: u64 = packed("DEFAULT");
        const ELSE: u64 = packed("ELSE");
        const ESCAPE: u64 = packed("ESCAPE");
        const FILTER: u64 = packed("FILTER");
        const GLOB: u64 = packed("GLOB");
        const INTO: u64 = packed("INTO");
        const IS: u64 = packed("IS");
        const KEY: u64 = packed("KEY");
        const LIKE: u64 = packed("LIKE");
        const MATCH: u64 = packed("MATCH");
        const NOT: u64 = packed("NOT");
        const OVER: u64 = packed("OVER");
        const REGEXP: u64 = packed("REGEXP");
        const THEN: u64 = packed("THEN");
        const UNIQUE: u64 = packed("UNIQUE");
        const WHEN: u64 = packed("WHEN");
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
            AND | AS | BY | CHECK | CONFLICT | FILTER | KEY | NOT | OVER | UNIQUE => Previous::Other,
            _ => match keyword {
                Keyword::In | Keyword::Values => Previous::Operator,
                // `IS DISTINCT FROM` is an operator.
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
