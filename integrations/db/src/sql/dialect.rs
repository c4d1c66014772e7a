//! The dialects of SQL, which differ in how they quote, escape and comment.

/// A dialect of SQL, as far as its tokens are concerned.
///
/// | | strings | quoted identifiers | escapes | line comments | block comments | placeholders |
/// |---|---|---|---|---|---|---|
/// | `Generic` | `'…'`, prefixes, `$tag$…$tag$` | `"…"`, backticks, `[name]` | `''` | `--` | flat | `?`, `$1`, `:name`, `@name` |
/// | `PostgreSql` | `'…'`, `E'…'`, `B`, `X`, `N`, `U&`, `$tag$…$tag$` | `"…"` | `''`, and `\` in `E'…'` | `--` | nested | `$1` |
/// | `MySql` | `'…'`, `"…"`, `N`, `X`, `B` | backticks | `''` and `\` | `#`, and `--` before white space | flat | `?` |
/// | `Sqlite` | `'…'`, `X'…'` | `"…"`, backticks, `[…]` | `''` | `--` | flat | `?`, `?1`, `:name`, `@name`, `$name` |
///
/// SQLite reads `"…"` as a string if no column has that name. It counts as a literal in the place of a value: after an operator such
/// as `=`, `||`, `LIKE` or `BETWEEN`, after `THEN`, `ELSE` and `DEFAULT`, among the arguments of a function, in the lists of `IN`
/// and `VALUES`, and in the list of a `SELECT` without `FROM`. In the place of a column, it counts as a name and stays if it has only
/// letters, digits, `_` and `$`: a word that stands as a string in the list of `SELECT "word" FROM t` is recorded.
///
/// Some databases of the `Generic` dialect escape with `\`. If a `\` stands before a quote, the text does not tell where the string
/// ends, and the rest of the statement counts as a literal.
///
/// PostgreSQL with `standard_conforming_strings = off` and MySQL with `ANSI_QUOTES` or
/// `NO_BACKSLASH_ESCAPES` use other rules, which a client cannot see in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Standard SQL with the quotes and placeholders of several databases.
    #[default]
    Generic,
    /// PostgreSQL and databases with its syntax.
    PostgreSql,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// The number of dialects.
    pub(super) const COUNT: usize = Dialect::Sqlite as usize + 1;

    /// Returns true if `\` escapes the next character in a string with this quote.
    pub(super) fn has_escapes(self) -> bool {
        self == Dialect::MySql
    }

    /// Returns true if `\` before a quote escapes it in some databases of this dialect, but not in others.
    pub(super) fn is_unsure_of_escapes(self) -> bool {
        self == Dialect::Generic
    }

    /// Returns true if `/*` within a comment opens another comment.
    pub(super) fn nests_comments(self) -> bool {
        self == Dialect::PostgreSql
    }

    pub(super) fn has_backticks(self) -> bool {
        self != Dialect::PostgreSql
    }

    pub(super) fn has_dollar_quotes(self) -> bool {
        matches!(self, Dialect::PostgreSql | Dialect::Generic)
    }

    /// Returns true if a prefix such as `E` belongs to the string that follows it.
    pub(super) fn has_prefix(self, prefix: u8) -> bool {
        match prefix | 0x20 {
            b'x' => true,
            b'b' | b'n' => self != Dialect::Sqlite,
            b'e' => self.has_dollar_quotes(),
            _ => false,
        }
    }

    /// Returns true if a statement may name a table with a string.
    pub(super) fn has_string_names(self) -> bool {
        matches!(self, Dialect::Generic | Dialect::Sqlite)
    }
}
